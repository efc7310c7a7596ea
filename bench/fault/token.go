package fault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// signToken is a device's token, signed with HS256.
func signToken(secret []byte, device string) string {
	b64 := base64.RawURLEncoding
	claims := fmt.Sprintf(`{"sub":%q,"tenant":"default","exp":%d}`, device, time.Now().Add(time.Hour).Unix())
	signed := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

// strangersToken looks like a token of ES256 and is signed by nobody whom the node
// knows: it has to try its keys to find out.
func strangersToken() (string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	claims := fmt.Sprintf(`{"sub":"x-bad","tenant":"default","exp":%d}`, time.Now().Add(time.Hour).Unix())
	signed := b64.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b64.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64.EncodeToString(sig), nil
}

// namelessKeys is how many keys of one algorithm a node takes without a name; it
// tries each of them with every token that names none.
const namelessKeys = 4

// setupTokens has the node ask for tokens, and know a secret and some public keys.
func (l *Life) setupTokens(publicKeys int) error {
	dir := filepath.Dir(l.Node.Dir)
	secret := []byte(fmt.Sprintf("the secret of seed %032d", l.Options.Seed))
	file := filepath.Join(dir, "device.secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		return err
	}
	l.secret = file
	l.token = func(device string) string { return signToken(secret, device) }
	l.Node.Flags = append(l.Node.Flags, "--auth=jwt", "--secret-file="+file)
	if publicKeys == 0 {
		return nil
	}
	var all []byte
	for i := range publicKeys {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			return err
		}
		block := &pem.Block{Type: "PUBLIC KEY", Bytes: der}
		if i >= namelessKeys {
			block.Headers = map[string]string{"kid": fmt.Sprintf("key-%d", i)}
		}
		all = append(all, pem.EncodeToMemory(block)...)
	}
	keys := filepath.Join(dir, "keys.pem")
	l.Node.Flags = append(l.Node.Flags, "--public-key-file="+keys)
	return os.WriteFile(keys, all, 0o600)
}
