def settle(): pass
