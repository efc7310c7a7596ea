import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

// A device made of what Java itself has: java Device.java URL TOKEN CA TLSv1.3. It sends readings
// of growing size, has them acknowledged, and closes.
public class Device implements WebSocket.Listener {
    static final int READINGS = 20;

    final CompletableFuture<Void> acknowledged = new CompletableFuture<>();
    final CompletableFuture<Integer> closed = new CompletableFuture<>();
    final StringBuilder text = new StringBuilder();

    public static void main(String[] args) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var file = new FileInputStream(args[2])) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var tls = SSLContext.getInstance(args[3]);
        tls.init(null, trust.getTrustManagers(), null);
        var device = new Device();
        var socket = HttpClient.newBuilder().sslContext(tls).connectTimeout(Duration.ofSeconds(30)).build()
            .newWebSocketBuilder()
            .header("Authorization", "Bearer " + args[1])
            .subprotocols("edgeloop.v1.json")
            .buildAsync(URI.create(args[0]), device)
            .get(30, TimeUnit.SECONDS);
        device.acknowledged.get(30, TimeUnit.SECONDS);
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(30, TimeUnit.SECONDS);
        System.out.println("closed " + device.closed.get(30, TimeUnit.SECONDS));
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
        text.append(data);
        if (last) {
            var message = text.toString();
            text.setLength(0);
            System.out.println(message);
            if (message.contains("\"welcome\"")) {
                send(socket, 1);
            }
            if (message.contains("\"upto\":" + READINGS + "}")) {
                acknowledged.complete(null);
            }
        }
        socket.request(1);
        return null;
    }

    void send(WebSocket socket, int seq) {
        if (seq > READINGS) {
            return;
        }
        var reading = "{\"type\":\"telemetry\",\"seq\":" + seq + ",\"data\":\"" + "x".repeat(2000 * seq) + "\"}";
        socket.sendText(reading, true).thenRun(() -> send(socket, seq + 1));
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        closed.complete(code);
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        acknowledged.completeExceptionally(error);
        closed.completeExceptionally(error);
    }
}
