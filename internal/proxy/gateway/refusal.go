package gateway

import (
	"fmt"
	"net/http"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The errors of the gateway itself, besides those of package wire.

func overloaded() wire.Error {
	return wire.Error{
		Status: http.StatusServiceUnavailable, Code: "overloaded", Type: "server_error", RetryAfter: time.Second,
		Message: "The gateway has reached its limit of requests in flight. Please retry after 1 second.",
	}
}

// tooManyConnections is the error for a connection beyond the limit.
func tooManyConnections() wire.Error {
	return wire.Error{
		Status: http.StatusServiceUnavailable, Code: "overloaded", Type: "server_error", RetryAfter: time.Second,
		Message: "The gateway has reached its limit of connections. Please retry after 1 second.",
	}
}

// memoryScarce is the error for a request that memory does not suffice for at the
// moment.
func memoryScarce() wire.Error {
	return wire.Error{
		Status: http.StatusServiceUnavailable, Code: "overloaded", Type: "server_error", RetryAfter: time.Second,
		Message: "The gateway has reached its limit of memory. Please retry after 1 second.",
	}
}

func shuttingDown() wire.Error {
	return wire.Refused(spillway.Refusal{
		Code: spillway.RefusalEnding, RetryAfter: time.Second,
	}, 0)
}

func headerTooLarge(limit int) wire.Error {
	return wire.Error{
		Status: http.StatusRequestHeaderFieldsTooLarge, Code: "request_header_too_large", Type: "invalid_request_error",
		Message: fmt.Sprintf("The request headers exceed the limit of %d bytes. Send fewer or shorter headers.", limit),
	}
}

func slowBody() wire.Error {
	return wire.Error{
		Status: http.StatusRequestTimeout, Code: wire.CodeTimeout, Type: "timeout_error",
		Message: "Timed out while reading the request body. Please send the request again.",
	}
}

func cutBody() wire.Error {
	return wire.Error{
		Status: http.StatusBadRequest, Code: "incomplete_body", Type: "invalid_request_error",
		Message: "The request body ended before its Content-Length, or its chunks are malformed. Please send the request again.",
	}
}

func noModel() wire.Error {
	return wire.Error{
		Status: http.StatusBadRequest, Code: "missing_required_parameter", Type: "invalid_request_error", Param: "model",
		Message: "The request does not name a model, and the key may use several. Name it in the path, as in " +
			"/openai/deployments/{model}/files, or set routing.default_pool in the gateway's configuration, or limit the key to one pool.",
	}
}

func internalError() wire.Error {
	return wire.Error{
		Status: http.StatusInternalServerError, Code: "internal_error", Type: "server_error",
		Message: "Internal gateway error. Please report the request id.",
	}
}
