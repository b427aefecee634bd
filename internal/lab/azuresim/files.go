package azuresim

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"
)

// file is an uploaded file, or one that a batch has written.
type file struct {
	id, name, purpose string
	created           time.Time
	expires           time.Duration // after created; 0 is never
	content           []byte
}

// filePurposes is constant: what a file may be for.
var filePurposes = map[string]bool{"assistants": true, "batch": true, "fine-tune": true, "vision": true, "user_data": true, "evals": true}

func (f *file) size() int { return len(f.content) }

// json has the members that Microsoft's batch page shows.
func (f *file) json(time.Time) []byte {
	b := []byte(`{"status":"processed"`)
	b = appendField(b, "bytes", len(f.content))
	b = append(b, `,"purpose":"`+f.purpose+`","filename":`...)
	b = appendQuoted(b, f.name)
	b = append(b, `,"expires_at":`...)
	if f.expires > 0 {
		b = strconv.AppendInt(b, f.created.Add(f.expires).Unix(), 10)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"id":"`+f.id+`"`...)
	b = appendField(b, "created_at", int(f.created.Unix()))
	return append(b, `,"object":"file"}`...)
}

// fileID is an id in the service's form.
func (s *Server) fileID() string {
	id := uuid(s.nextID())
	return "file-" + id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]
}

// noFile is worded as observed at OpenAI.
func noFile(id string) error { return missing("No such File object: "+id, "id") }

// createFile takes an upload as multipart/form-data.
func (x *exchange) createFile(body []byte) error {
	kind, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return &badRequest{message: "Invalid Content-Type header. Expected multipart/form-data."}
	}
	f := &file{id: x.s.fileID(), created: x.s.clock.now()}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return &badRequest{message: "Could not parse multipart form."}
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return &badRequest{message: "Could not parse multipart form."}
		}
		switch part.FormName() {
		case "file":
			f.name, f.content = part.FileName(), content
		case "purpose":
			f.purpose = string(content)
		case "expires_after[seconds]", "expires_after.seconds":
			seconds, _ := strconv.Atoi(string(content)) // no number is no expiry
			f.expires = time.Duration(max(seconds, 0)) * time.Second
		}
	}
	switch {
	case f.content == nil:
		return &badRequest{"'file' is a required property", "file", ""}
	case !filePurposes[f.purpose]:
		return &badRequest{"'" + f.purpose + "' is not a valid purpose.", "purpose", ""}
	}
	x.res.store.do(func() { x.res.store.put(f.id, f) })
	x.write(f.json(f.created))
	return nil
}

func (x *exchange) listFiles([]byte) error {
	x.settleBatches()
	return listOf(x, func(f *file) string { return f.id })
}

func (x *exchange) getFile([]byte) error {
	x.settleBatches()
	return show[*file](x, noFile)
}

func (x *exchange) deleteFile([]byte) error { return remove[*file](x, "file", noFile) }

func (x *exchange) getFileContent([]byte) error {
	x.settleBatches()
	var content []byte
	found := false
	x.res.store.do(func() {
		var f *file
		if f, found = lookup[*file](&x.res.store, x.id); found {
			content = f.content
		}
	})
	if !found {
		return noFile(x.id)
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(content)))
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(content) // the client left
	return nil
}
