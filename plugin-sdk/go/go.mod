module wasmill

go 1.27
