package wire

import (
	"bytes"
	"mime"
	"strings"
)

// ReadForm reads the model of a multipart form, as audio and images send it. Like
// ReadAsk of an unknown operation it reads what it can; only a form that names the
// model twice is an error, a *BadRequest. A body of another content type stays unread.
func (a *Ask) ReadForm(contentType string, body []byte) error {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil
	}
	delimiter := "\r\n--" + params["boundary"]
	f := form{body: body, delimiter: []byte(delimiter)}
	if !f.start() {
		return nil
	}
	a.formDelimiter, a.open = delimiter[len("\r\n"):], f.pos-len(delimiter)+len("\r\n")
	for {
		at, isModel, ok := f.next()
		switch {
		case !ok:
			return nil
		case !isModel:
		case a.formModel != (span{}):
			return &BadRequest{Code: "duplicate_parameter", Param: "model", Message: "The form has the field 'model' twice. Send it once."}
		default:
			a.formModel, a.Model = at, string(body[at.start:min(at.end, at.start+maxTextBytes)])
		}
	}
}

// form walks the parts of a multipart form (RFC 7578).
type form struct {
	body      []byte
	delimiter []byte // with the line break before it
	pos       int    // after a delimiter
}

// start moves behind the first delimiter, which needs no line break before it.
func (f *form) start() bool {
	if bytes.HasPrefix(f.body, f.delimiter[len("\r\n"):]) {
		f.pos = len(f.delimiter) - len("\r\n")
		return true
	}
	return f.skip()
}

// skip moves behind the next delimiter.
func (f *form) skip() bool {
	i := bytes.Index(f.body[f.pos:], f.delimiter)
	f.pos += i + len(f.delimiter)
	return i >= 0
}

// next returns where the content of the next part stands, and whether the part is the
// field model. It reports false at the end, and where the form is malformed.
func (f *form) next() (content span, isModel, ok bool) {
	rest := f.body[f.pos:]
	lineEnd := bytes.Index(rest, []byte("\r\n"))
	if lineEnd < 0 || len(bytes.TrimRight(rest[:lineEnd], " \t")) > 0 { // two hyphens end the form
		return span{}, false, false
	}
	header, _, found := bytes.Cut(rest[lineEnd:], []byte("\r\n\r\n"))
	if !found || bytes.Count(header, []byte("\n")) != bytes.Count(header, []byte("\r\n")) { // a bare line break could end the header for other readers
		return span{}, false, false
	}
	content.start = f.pos + lineEnd + len(header) + len("\r\n\r\n")
	f.pos = content.start - len("\r\n") // an empty part's delimiter begins there
	if !f.skip() {
		return span{}, false, false
	}
	content.end = max(f.pos-len(f.delimiter), content.start)
	return content, namesModel(header), true
}

// namesModel reports whether the header of a part is that of the field model.
func namesModel(header []byte) bool {
	if !bytes.Contains(header, []byte("model")) { // the usual case
		return false
	}
	for line := range strings.SplitSeq(string(header), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(name), "Content-Disposition") {
			_, params, err := mime.ParseMediaType(value)
			_, isFile := params["filename"]
			return err == nil && params["name"] == "model" && !isFile
		}
	}
	return false
}

// patchForm returns body with another model in the form's field, which it adds where it
// is absent, appended to dst.
func (a *Ask) patchForm(dst, body []byte, model string) []byte {
	if a.formModel == (span{}) {
		dst = append(dst, body[:a.open]...)
		dst = append(dst, a.formDelimiter...)
		dst = append(dst, "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"...)
		dst = append(dst, model...)
		dst = append(dst, "\r\n"...)
		return append(dst, body[a.open:]...)
	}
	dst = append(dst, body[:a.formModel.start]...)
	dst = append(dst, model...)
	rest := body[a.formModel.end:]
	if !bytes.HasPrefix(rest, []byte("\r\n")) { // the field was empty, and the line break ended its header too
		dst = append(dst, "\r\n"...)
	}
	return append(dst, rest...)
}
