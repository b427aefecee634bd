package sink

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/spillway-ai/spillway/internal/observe/export"
)

// azureOptions has the SDK try once: the worker repeats, and knows when it
// must not.
func azureOptions(client *http.Client) policy.ClientOptions {
	return policy.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}, Telemetry: policy.TelemetryOptions{Disabled: true}}
}

// azureCredential is what asks Entra ID for tokens.
func azureCredential(a export.Auth, client *http.Client) (azcore.TokenCredential, error) {
	options := azureOptions(client)
	if a.Authority != "" {
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: a.Authority}
	}
	switch {
	case a.ClientSecret != "":
		return azidentity.NewClientSecretCredential(a.TenantID, a.ClientID, a.ClientSecret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: a.Authority != "",
		})
	case a.ManagedIdentity:
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if a.ClientID != "" {
			managed.ID = azidentity.ClientID(a.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(managed)
	}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: options, TenantID: a.TenantID, DisableInstanceDiscovery: a.Authority != "",
	})
}

// azureError makes a Failure of the SDK's errors, and takes the query out of
// those that tell a URL, where signatures stand.
func azureError(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
		f := &export.Failure{Status: r.StatusCode, What: r.ErrorCode}
		if r.RawResponse != nil {
			f.RetryAfter = readRetryAfter(r.RawResponse.Header)
		}
		return f
	}
	return withoutQuery(err)
}

// brief formats an error in one line.
type brief struct{ error }

// Error returns the line.
func (b brief) Error() string { return line(b.error.Error()) }

// Unwrap returns the error itself.
func (b brief) Unwrap() error { return b.error }

// withoutQuery removes the URL's query from an error of the HTTP client,
// and others in one line.
func withoutQuery(err error) error {
	u, ok := errors.AsType[*url.Error](err)
	if !ok {
		return brief{err}
	}
	at := "the destination"
	if parsed, parseErr := url.Parse(u.URL); parseErr == nil {
		at = parsed.Host
	}
	return fmt.Errorf("%s %s: %w", u.Op, at, u.Err)
}
