package faults

var streamRows, clientRows, clockRows, storeRows, outputRows, lifecycleRows, overloadRows, harmRows []row
