module conformance

go 1.27

require wasmill v0.0.0

replace wasmill => ../../../plugin-sdk/go
