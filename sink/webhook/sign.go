package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// key is the secret that bodies are signed with: any text, or base64 behind whsec_.
func (h *hook) key() ([]byte, error) {
	text, err := h.secret.Read()
	if err != nil {
		return nil, err
	}
	coded, isCoded := strings.CutPrefix(text, "whsec_")
	if !isCoded {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return nil, errors.New("the secret behind whsec_ is no base64: give base64, or a text without whsec_")
	}
	return key, nil
}

// sign signs as Standard Webhooks 1.0 has it: HMAC-SHA256 over the identity, the time in
// Unix seconds and the body as sent, with points between them.
func (h *hook) sign(req *http.Request, id string, body []byte) error {
	if !h.secret.Given() {
		return nil
	}
	key, err := h.key()
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	req.Header.Set("Webhook-Timestamp", at)
	req.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}
