// For each line of input makes a call with a new HttpClient of Java's own, and prints `trusts` or `untrusted`. The argument is the name to call.
// Nothing here knows of Tollgate.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import javax.net.ssl.SSLHandshakeException;

public class Kept {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create("https://" + arguments[0] + "/hello")).build();
        var lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            try {
                HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
                System.out.println("trusts");
            } catch (SSLHandshakeException thrown) {
                System.out.println(thrown.toString().contains("PKIX path building failed") ? "untrusted" : thrown);
            } catch (Exception thrown) {
                System.out.println(thrown);
            }
        }
        System.exit(0);
    }
}
