package extprocsvc

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/attache-dev/attache/config"
)

// An authenticator verifies the bearer token of a request, as F5's
// policies[].authentication does. It is read-only.
type authenticator struct {
	parser     *jwt.Parser
	key        any
	unverified bool
	digest     string
}

func newAuthenticator(a *config.Authentication) (*authenticator, error) {
	sum := sha256.Sum256(a.SigningKey)
	au := &authenticator{
		parser:     jwt.NewParser(jwt.WithValidMethods([]string{a.SigningKeyType})),
		unverified: a.AllowUnverified,
		digest:     fmt.Sprint(a.SigningKeyType, a.AllowUnverified, hex.EncodeToString(sum[:])),
	}
	if a.AllowUnverified {
		return au, nil
	}
	var err error
	switch family(a.SigningKeyType) {
	case "HS":
		if au.key = a.SigningKey; len(a.SigningKey) == 0 {
			err = fmt.Errorf("the signing key is empty")
		}
	case "RS", "PS":
		au.key, err = jwt.ParseRSAPublicKeyFromPEM(a.SigningKey)
	case "ES":
		au.key, err = jwt.ParseECPublicKeyFromPEM(a.SigningKey)
	case "Ed":
		var k crypto.PublicKey
		k, err = jwt.ParseEdPublicKeyFromPEM(a.SigningKey)
		au.key = k
	default:
		err = fmt.Errorf("unknown algorithm")
	}
	if err != nil {
		return nil, fmt.Errorf("jwtSigningKeyFile holds no key for %s: %v", a.SigningKeyType, err)
	}
	return au, nil
}

func family(algorithm string) string { return algorithm[:min(2, len(algorithm))] }

// content is what the hash of a chain has to know. It tells nothing about a
// secret.
func (a *authenticator) content() string {
	if a == nil {
		return ""
	}
	return a.digest
}

// claims returns what the token says, or false if there is none that can be
// trusted. Every reader must see the same token: two are none.
func (a *authenticator) claims(h *head) (jwt.MapClaims, bool) {
	given := h.values("authorization")
	if len(given) != 1 {
		return nil, false
	}
	scheme, token, ok := strings.Cut(given[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return nil, false
	}
	claims := jwt.MapClaims{}
	var err error
	if a.unverified {
		_, _, err = a.parser.ParseUnverified(token, claims)
	} else {
		_, err = a.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return a.key, nil })
	}
	return claims, err == nil
}

// items is the set that a jwt selector looks at: the claim, or each item of it
// if it is a list.
func items(claims jwt.MapClaims, key string) (set []string) {
	list, ok := claims[key].([]any)
	if !ok {
		list = []any{claims[key]}
	}
	for _, v := range list {
		switch v := v.(type) {
		case string:
			set = append(set, v)
		case nil:
		case bool, float64:
			set = append(set, fmt.Sprint(v))
		}
	}
	return set
}
