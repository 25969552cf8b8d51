import CFuzzer
import Glibc

/// One program for all parsers: `fuzz NAME [libFuzzer's options and corpus directories]`. Driven by Fuzz/run.
@main struct Fuzz {
    typealias Target = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

    static let targets: [(name: String, run: Target)] = [
        ("http", { given($0, $1, HTTPFuzz.run) }),
        ("connection", { given($0, $1, ConnectionFuzz.run) }),
        ("response", { given($0, $1, ResponseFuzz.run) }),
        ("fields", { given($0, $1, FieldFuzz.run) }),
        ("conditions", { given($0, $1, FieldFuzz.conditions) }),
        ("target", { given($0, $1, HTTPFuzz.target) }),
        ("inflate", { given($0, $1, CompressionFuzz.inflate) }),
        ("deflate", { given($0, $1, CompressionFuzz.roundTrip) }),
        ("websocket", { given($0, $1, WebSocketFuzz.run) }),
        ("negotiation", { given($0, $1, WebSocketFuzz.negotiation) }),
        ("events", { given($0, $1, StreamFuzz.events) }),
        ("agent", { given($0, $1, StreamFuzz.agent) }),
        ("channel", { given($0, $1, MessageFuzz.channel) }),
        ("worker", { given($0, $1, MessageFuzz.worker) }),
        ("server", { given($0, $1, MessageFuzz.server) }),
        ("holder", { given($0, $1, HolderFuzz.run) }),
        ("json", { given($0, $1, JSONFuzz.value) }),
        ("create", { given($0, $1, JSONFuzz.create) }),
        ("bodies", { given($0, $1, BodyFuzz.run) }),
        ("link", { given($0, $1, LinkFuzz.run) }),
        ("flow", { given($0, $1, MessageFuzz.flow) }),
        ("routes", { given($0, $1, RouteFuzz.run) }),
        ("dns", { given($0, $1, AddressFuzz.dns) }),
        ("resolver", { given($0, $1, AddressFuzz.files) }),
        ("url", { given($0, $1, AddressFuzz.url) }),
        ("names", { given($0, $1, NameFuzz.run) }),
    ]

    static func main() {
        guard CommandLine.argc > 1, let target = targets.first(where: { $0.name == CommandLine.arguments[1] }) else {
            for target in targets { print(target.name) }
            exit(CommandLine.argc > 1 ? 2 : 0)
        }
        var count = CommandLine.argc - 1
        // libFuzzer takes the name for the program's own, and so passes it over.
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        exit(LLVMFuzzerRunDriver(&count, &arguments, target.run))
    }

    private static func given(_ start: UnsafePointer<UInt8>?, _ count: Int, _ run: ([UInt8]) -> Void) -> CInt {
        run(Array(UnsafeBufferPointer(start: start, count: count)))
        return 0
    }

    /// Ends the program, for libFuzzer to keep the input, when what must hold does not.
    static func check(_ holds: Bool, _ words: @autoclosure () -> String) {
        guard !holds else { return }
        let text = Array("broken: \(words())\n".utf8)
        _ = write(STDERR_FILENO, text, text.count)
        abort()
    }
}
