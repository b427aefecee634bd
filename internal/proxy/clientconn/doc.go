// Package clientconn is the client's side of one request: it reads the body and
// writes the response, both with deadlines, and can detach a stream from the
// http.Server that accepted its connection. It contains no policy and does not
// access deployments.
//
// # One request
//
//	conn.Init(w, r, options)       // in the handler
//	conn.ReadBody(...)
//	ctx := conn.PrepareDetach()    // before the work whose response is a stream
//	conn.Set(...); conn.Start(200)
//	conn.Write(...); conn.Flush()
//	if conn.Detach() {
//		go rest()                  // and the handler returns
//		return
//	}
//	...
//	conn.EndResponse(whole)
//	conn.ReleaseConn()
//
// # Detached streams
//
// net/http keeps a goroutine with a grown stack, two buffers and a context
// tree for as long as a handler runs. They are most of the memory of a stream,
// which lasts for a minute and needs none of them. So Detach hijacks the
// connection of an HTTP/1.1 client once the response has begun, and the handler
// returns. From then on this package writes the chunks, notices when the
// client leaves, and ends the transfer encoding. ReleaseConn waits for the
// client's next request, and then has the same server serve the connection
// again. HTTP/2 and HTTP/1.0 clients stay in the server, and so do all
// clients if ServerOptions.KeepStreams is set: then Detach always returns false and
// nothing is hijacked.
//
// # Sockets
//
// Conns.Serve gives the server connections of this package, with TLS below them.
// They do two things that net/http does not. They notice a client that has sent
// bytes beyond its request and leaves, by asking the kernel while nothing reads.
// And they follow the frames of HTTP/2 clients, which have a budget for those that
// do not move a request forward.
//
// # Goroutines
//
// A Conn is used by one goroutine at a time: the handler's, and after Detach
// the one that the handler has started. Conns is safe for concurrent use. Each
// detached connection has one more goroutine, which waits for the client to
// send something or to leave.
package clientconn
