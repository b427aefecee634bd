package faults

var clientRows, clockRows, storeRows, outputRows, lifecycleRows, overloadRows, harmRows []row
