package faults

var clockRows, storeRows, outputRows, lifecycleRows, overloadRows, harmRows []row
