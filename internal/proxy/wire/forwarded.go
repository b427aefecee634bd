package wire

import (
	"net/http"
	"strings"
)

// CopyHeader sets in dst every header of a response that is not hop by hop, nor
// named by Connection, nor about the server that we are in front of. dst shares
// the values of src; neither may change them in place afterwards. Appending is
// safe.
func CopyHeader(dst, src http.Header) {
	named := src["Connection"]
	for name, values := range src {
		if hopByHop(name) || theirs(name) || len(named) > 0 && isNamed(named, name) {
			continue
		}
		dst[name] = values[:len(values):len(values)]
	}
}

// CopyRequestHeader is CopyHeader for what goes upstream: without the caller's
// credentials and cookies, what would choose whom to bill or who serves, what
// servers take for another path, method, host or client, the headers that are
// meant for us, and those that the transport sets itself.
func CopyRequestHeader(dst, src http.Header) {
	named := src["Connection"]
	for name, values := range src {
		if hopByHop(name) || !plainName(name) || withheld(name) || len(named) > 0 && isNamed(named, name) {
			continue
		}
		dst[name] = values[:len(values):len(values)]
	}
}

// plainName reports whether a header's name has only letters, digits and hyphens.
// Servers after CGI's convention take other characters, such as "_" and ".", for a
// hyphen, so X_Original_Url would be X-Original-Url to them. Proxies drop such names
// by default (nginx's underscores_in_headers, ignore_invalid_headers).
func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '-' && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// withheld reports whether a request's header, of a canonical name, stays at the
// gateway. Clients' SDKs send none of these to a deployment that needs it.
func withheld(name string) bool {
	switch name {
	// The caller's credentials at the gateway.
	case HeaderAPIKey, HeaderAuthorization, headerXAPIKey, "Cookie", "Cookie2":
		return true
	// Whom to bill, and who serves: the gateway has chosen both.
	case "Openai-Organization", "Openai-Project", "X-Ms-Spillover-Deployment", "Azureml-Model-Deployment",
		"X-Litellm-Api-Key", "Cf-Aig-Authorization", "Helicone-Openai-Api-Base":
		return true
	// Meant for the gateway.
	case HeaderSLOTTFTMS, HeaderSLOTPOTMS:
		return true
	// Set by the transport.
	case "Accept-Encoding", "Content-Length", "Expect":
		return true
	// Another path.
	case "Request-Uri", "X-Request-Uri", "X-Uri", "X-Proxy-Url", "X-Ms-Original-Url",
		"Path-Info", "X-Path-Info", "Script-Name", "X-Script-Name", "X-Accel-Mapping", "X-Sendfile-Type":
		return true
	// Another method.
	case "X-Method", "X-Method-Override":
		return true
	// Another host.
	case "X-Server-Name", "X-Target-Url", "Helicone-Target-Url":
		return true
	// Another client, or that a front end has authenticated it.
	case "X-Client-Port", "X-Client-Cert", "X-Client-Dn", "X-Client-Verify", "Client-Cert", "Client-Cert-Chain",
		"Cf-Connecting-Ipv6", "Cf-Connecting-O2o", "Cf-Pseudo-Ipv4", "Cf-Ipcountry", "Cf-Visitor", "Cf-Worker", "Remote-User":
		return true
	// The servers that a request has passed, and what they would have set.
	case "Via", "Cdn-Loop", "Proxy", "X-Fd-Healthprobe":
		return true
	}
	return namesHost(name) || withheldFamily(name)
}

// namesHost reports whether a name ends as those do with which front ends give a
// client's address or another host: X-Real-Ip, True-Client-Ip, X-Remote-Addr, X-Host
// and many more.
func namesHost(name string) bool {
	switch at := strings.LastIndexByte(name, '-'); name[at+1:] {
	case "Ip", "Clientip", "Socketip", "Addr", "Host":
		return true
	}
	return false
}

// withheldFamily reports whether a name begins as those of a family that is withheld.
func withheldFamily(name string) bool {
	family, rest, more := strings.Cut(name, "-")
	if family == "X" && more {
		second, _, _ := strings.Cut(rest, "-")
		family = name[:len("X-")+len(second)]
	}
	switch family {
	case "X-Spillway", "X-Stainless", // meant for the gateway
		"X-Portkey",               // who serves, and whom to bill
		"X-Original", "X-Rewrite", // another path, method, host or client
		"X-Http",                                // X-Http-Method-Override and the like
		"X-Forwarded", "X-Forward", "Forwarded", // another client, host or path
		"X-Envoy",                                        // path, retries and timeouts, of Envoy
		"X-Middleware",                                   // that a request has passed the checks of Next.js
		"X-Azure", "X-Arr", "X-Waf", "X-Waws", "X-Appgw", // client and path, of Azure's front ends
		"Fastly", "Akamai", "Cloudfront", // client, of content delivery networks
		"X-Remote", "X-Ssl", "Ssl", "X-Appengine", "Impersonate", "Proxy": // client
		return true
	case "Ocp":
		return strings.HasPrefix(rest, "Apim-") // the key of Azure API Management, and traces that show credentials
	case "X-Ms":
		return strings.HasPrefix(rest, "Ms-Client-Principal") || strings.HasPrefix(rest, "Ms-Token-")
	case "X-Auth", "X-Goog", "X-Amzn":
		return strings.HasPrefix(rest, "Auth-Request-") || strings.HasPrefix(rest, "Goog-Authenticated-") ||
			strings.HasPrefix(rest, "Goog-Iap-") || strings.HasPrefix(rest, "Amzn-Oidc-")
	}
	return false
}

// hopByHop reports whether a header speaks of one connection only (RFC 9110,
// section 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// theirs reports whether a response's header means its own server, so that it
// would mislead about ours.
func theirs(name string) bool {
	switch name {
	case "Set-Cookie", "Alt-Svc", "Strict-Transport-Security":
		return true
	}
	return false
}

// isNamed reports whether the values of a Connection header name a header.
func isNamed(connection []string, name string) bool {
	for _, line := range connection {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), name) {
				return true
			}
		}
	}
	return false
}
