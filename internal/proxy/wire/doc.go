// Package wire knows the dialects: how clients address Azure OpenAI and OpenAI,
// what their requests ask, how to change a request or a response without
// touching a byte that need not change, and what errors look like. It holds no
// connection, no clock and no log; nothing in it is safe for concurrent use
// unless it is immutable.
package wire
