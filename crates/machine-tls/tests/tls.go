// A Go server that requires a client certificate, and a Go client that trusts only the CA, like GitLab Runner and
// dockerd with the same files.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
)

func main() {
	pem, err := os.ReadFile("ca.pem")
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	server, err := tls.LoadX509KeyPair("server.pem", "server-key.pem")
	check(err)
	client, err := tls.LoadX509KeyPair("client.pem", "client-key.pem")
	check(err)

	engine := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s over TLS\n", r.TLS.PeerCertificates[0].Subject.Organization[0])
	}))
	engine.TLS = &tls.Config{
		Certificates: []tls.Certificate{server},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
	}
	engine.StartTLS()
	defer engine.Close()

	runner := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{client},
		MinVersion:   tls.VersionTLS12,
	}}}
	answer, err := runner.Get(engine.URL)
	check(err)
	_, err = io.Copy(os.Stdout, answer.Body)
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
