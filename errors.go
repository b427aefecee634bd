package spillway

import "errors"

// ErrUnknownDeployment is a name that no configuration defines.
var ErrUnknownDeployment = errors.New("unknown deployment")
