// Package upstream makes attempts. An attempt is one request to one deployment:
// this package encodes the request in the deployment's dialect, reads the
// response, counts its tokens and classifies its failures. It contains no policy
// and does not access the client.
//
// # One attempt
//
// A Call is what a client asked, as every attempt at it is sent. Call.Start
// begins an attempt in a goroutine of its own, which lasts until the response is
// known: the status of an error, the first token of a stream that goes to the
// client, or the whole of a response that is buffered or assembled. What happens
// is reported to the channel of the call, as events of the core: EventFirstToken
// and then EventDone, or EventFailed.
//
// A response that goes to the client as it comes has reported its first token
// and is at rest until the caller commits to it. From then on the caller reads
// it with Next, in its own goroutine: each call returns bytes to forward, so
// that no chunk passes a channel. How it ended, EndEvent says.
//
// # Counting
//
// The reader of the stream counts tokens, here and nowhere else: by the length
// of each delta, once, when it is read. The count only grows. The instant of the
// newest token goes with it, so that the core uses the time at which a deployment
// wrote, not the time at which the driver looked.
//
// # Ownership
//
// An Attempt belongs to its goroutine until its last report, and to the receiver
// of the report from then on. Progress alone may be called at any time.
//
// # Connections
//
// Deployments that agree on how to connect share a transport. A failure of a
// connection that was used before says nothing about the deployment: the request
// is sent again on a new one, and connections as old are not used again. While the
// resolver fails, hosts keep the addresses that they had. A limit for each
// deployment bounds how many requests look for a connection at one time, so that
// a burst does not open one for each request where they can share a few.
// Sending a request again without what the gateway has added, because the deployment
// refuses it (stream_options, or the stream of a synchronous request), is part of
// the dialect and no retry: the deployment has done no work.
package upstream
