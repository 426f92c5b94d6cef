// For each line of input makes a call with Go's net/http, by a connection of its own, and prints `trusts` or `untrusted`. The argument is the
// name to call. Nothing here knows of Tollgate.
package main

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		answer, err := client.Get("https://" + os.Args[1] + "/hello")
		var unknown x509.UnknownAuthorityError
		switch {
		case err == nil:
			answer.Body.Close()
			fmt.Println("trusts")
		case errors.As(err, &unknown):
			fmt.Println("untrusted")
		default:
			fmt.Println(err)
		}
	}
}
