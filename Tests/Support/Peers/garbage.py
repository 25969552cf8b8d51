"""Answers whatever it is sent with bytes that are no protocol at all. Prints its port."""
import random
import socketserver


class Garbage(socketserver.BaseRequestHandler):
    def handle(self):
        generator = random.Random(7)
        try:
            while self.request.recv(65536):
                self.request.sendall(generator.randbytes(2000))
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Garbage)
print(server.server_address[1], flush=True)
server.serve_forever()
