package faults

var lifecycleRows, overloadRows, harmRows []row
