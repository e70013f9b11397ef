// Goregistry serves a registry for tests: in memory, on a free loopback port.
//
// It prints its address and ends with its standard input, so that it never outlives the tests that started it.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	crane "github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	kind := flag.String("kind", "", "whose registry: ociregistry or crane")
	page := flag.Int("page", 0, "entries on a page of a listing whose request names no number; 0: all")
	flag.Parse()

	handler, err := registry(*kind)
	if err != nil {
		log.Fatal(err)
	}
	if *page > 0 {
		handler = inPages(handler, *page)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal(server.Serve(listener)) }()
	io.Copy(io.Discard, os.Stdin)
}

func registry(kind string) (http.Handler, error) {
	switch kind {
	case "ociregistry":
		return ociserver.New(ocimem.New(), nil), nil
	case "crane":
		return crane.New(crane.WithReferrersSupport(true), crane.Logger(log.New(io.Discard, "", 0))), nil
	}
	return nil, fmt.Errorf("there is no registry of kind %q", kind)
}

// inPages has listings cut where the client leaves it to the registry, as public registries do.
func inPages(next http.Handler, size int) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		path, query := request.URL.Path, request.URL.Query()
		isList := strings.HasSuffix(path, "/tags/list") || path == "/v2/_catalog"
		if isList && query.Get("n") == "" {
			query.Set("n", strconv.Itoa(size))
			request.URL.RawQuery = query.Encode()
		}
		next.ServeHTTP(answer, request)
	})
}
