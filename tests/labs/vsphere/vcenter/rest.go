// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const vmTemplates = "vcenter/vm-template/library-items/"

// newREST answers the vCenter 7+ forms of sessions, tagging and content
// libraries (/api/session, /api/cis/tagging/..., /api/content/library...,
// /api/vcenter/vm-template/library-items/ID), which the simulator has only in
// the older form (/rest/com/vmware/...): other paths, specs wrapped, values wrapped.
func newREST(next http.Handler, w http.ResponseWriter, r *http.Request) bool {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok || !isTranslated(r.Method, path) {
		return false
	}
	isTemplate := strings.HasPrefix(path, vmTemplates)
	if isTemplate { // the simulator's own answer there is empty; its item names the template
		path = "content/library/item/" + strings.TrimPrefix(path, vmTemplates)
	}
	q := r.URL.Query()
	action := q.Get("action")
	if path == "session" {
		path = "cis/session"
	}
	if p := strings.Split(path, "/"); len(p) == 4 { // cis/tagging/tag/ID, content/library/item/ID
		p[3] = "id:" + p[3]
		path = strings.Join(p, "/")
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 && action == "" {
		switch r.Method {
		case http.MethodPost:
			body = []byte(`{"create_spec":` + string(body) + `}`)
		case http.MethodPatch:
			body = []byte(`{"update_spec":` + string(body) + `}`)
		}
	}
	if len(body) > 0 && action == "find" {
		body = []byte(`{"spec":` + string(body) + `}`)
	}
	q.Del("action")
	if action != "" {
		q.Set("~action", action)
	}
	in := r.Clone(r.Context())
	in.URL.Path, in.URL.RawQuery = "/rest/com/vmware/"+path, q.Encode()
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	out := &kept{lost: lost{header: http.Header{}}, status: http.StatusOK}
	next.ServeHTTP(out, in)

	text := out.body.Bytes()
	var v struct {
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(text, &v) == nil && out.status < 300 {
		if text = v.Value; text == nil && action != "" {
			text = []byte("[]")
		}
	}
	status := out.status
	if isTemplate && status < 300 {
		text, status = templateOf(text)
	}
	switch {
	case status == http.StatusOK && r.Method == http.MethodPost && action == "":
		status = http.StatusCreated
	case status == http.StatusOK && len(text) == 0:
		status = http.StatusNoContent
	}
	for k, h := range out.header {
		w.Header()[k] = h
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return true
}

func isTranslated(method, path string) bool {
	if strings.HasPrefix(path, vmTemplates) {
		return method == http.MethodGet
	}
	isItem := path == "content/library" || path == "content/library/item" || strings.HasPrefix(path, "content/library/item/")
	return isItem || path == "session" || strings.HasPrefix(path, "cis/tagging/")
}

// templateOf is what vCenter says of an item of type vm-template, as far as
// anybody asks, by the item as the simulator has it.
func templateOf(item []byte) ([]byte, int) {
	var v struct {
		Type     string
		Template *struct{ Value string }
	}
	if json.Unmarshal(item, &v) != nil || v.Type != "vm-template" || v.Template == nil {
		return []byte(`{"error_type":"INVALID_ARGUMENT","messages":[]}`), http.StatusBadRequest
	}
	text, _ := json.Marshal(map[string]string{"vm_template": v.Template.Value})
	return text, http.StatusOK
}

// kept holds an answer back.
type kept struct {
	lost
	status int
	body   bytes.Buffer
}

func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
func (k *kept) WriteHeader(n int)           { k.status = n }
