import Base
import Testing

@testable import Transport

@Suite struct DeflateAgreementTests {
    static func wishes(_ change: (inout WebSocketCompression) -> Void = { _ in }) -> WebSocketCompression {
        var wishes = WebSocketCompression()
        change(&wishes)
        return wishes
    }

    static let keeping = wishes { $0.keepsContext = true }
    static let narrow = wishes {
        $0.keepsContext = true
        $0.windowBits = 10
    }

    @Test(
        arguments: [
            ("", []),
            ("a", [.entry("a", [])]),
            (" , a ,, b", [.entry("a", []), .entry("b", [])]),
            ("a; b; c=1;d=\"x\\y\"", [.entry("a", [("b", nil), ("c", "1"), ("d", "xy")])]),
            ("a;b = 1", [.entry("a", [("b", "1")])]),
            ("a b", nil), ("a;", nil), ("a;b=", nil), ("a;b=\"", nil), ("a;b=\"\"", nil), ("a;b=\"c d\"", nil),
            (";a", nil), ("a=1", nil), ("a;b=\"c\"d", nil), ("ä", nil), ("a;;b", nil), ("a;=1", nil),
        ] as [(String, [WebSocketExtension]?)]
    )
    func `the header is read by its grammar`(line: String, entries: [WebSocketExtension]?) {
        #expect(WebSocketExtension.parse([line]) == entries)
    }

    @Test func `several lines are one list`() {
        #expect(WebSocketExtension.parse(["a", "b;c"])?.map(\.name) == ["a", "b"])
        #expect(WebSocketExtension.parse([]) == [])
        #expect(WebSocketExtension.parse(["a", "b c"]) == nil)
    }

    @Test(
        arguments: [
            // What a browser offers.
            (
                "permessage-deflate; client_max_window_bits", keeping, "permessage-deflate",
                DeflateAgreement()
            ),
            (
                "permessage-deflate; client_max_window_bits", wishes(),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                DeflateAgreement(
                    outgoing: .init(windowBits: 15, keepsContext: false),
                    incoming: .init(windowBits: 15, keepsContext: false)
                )
            ),
            (
                "permessage-deflate; client_max_window_bits", narrow,
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
                DeflateAgreement(outgoing: .init(windowBits: 10), incoming: .init(windowBits: 10))
            ),
            // A client that cannot shrink its window is not asked to.
            (
                "permessage-deflate", narrow, "permessage-deflate; server_max_window_bits=10",
                DeflateAgreement(outgoing: .init(windowBits: 10))
            ),
            (
                "permessage-deflate; server_no_context_takeover", keeping,
                "permessage-deflate; server_no_context_takeover",
                DeflateAgreement(outgoing: .init(keepsContext: false))
            ),
            (
                "permessage-deflate; client_no_context_takeover; client_max_window_bits=\"12\"", keeping,
                "permessage-deflate; client_no_context_takeover; client_max_window_bits=12",
                DeflateAgreement(incoming: .init(windowBits: 12, keepsContext: false))
            ),
            (
                "permessage-deflate; server_max_window_bits=8", keeping,
                "permessage-deflate; server_max_window_bits=8", DeflateAgreement(outgoing: .init(windowBits: 8))
            ),
            // The first good one of several.
            (
                "x-webkit-deflate-frame, permessage-deflate; mystery, permessage-deflate; server_max_window_bits=9, "
                    + "permessage-deflate", keeping,
                "permessage-deflate; server_max_window_bits=9", DeflateAgreement(outgoing: .init(windowBits: 9))
            ),
        ] as [(String, WebSocketCompression, String, DeflateAgreement)]
    )
    func `a server accepts the first good offer`(
        offers: String,
        wishes: WebSocketCompression,
        answer: String,
        agreement: DeflateAgreement
    ) throws {
        let entries = try #require(WebSocketExtension.parse([offers]))
        let accepted = try #require(DeflateAgreement.accept(entries, wishes))
        #expect(accepted.answer == answer)
        #expect(accepted.agreement == agreement)
        // A client of ours takes the answer for what it is, as far as it could have offered that.
        let answers = try #require(WebSocketExtension.parse([answer]))
        let understood = try DeflateAgreement.check(answers, offered: wishes)
        #expect(
            understood?.incoming == agreement.outgoing
                && understood?.outgoing.keepsContext == agreement.incoming.keepsContext
        )
    }

    @Test(
        arguments: [
            "x-webkit-deflate-frame",
            "permessage-deflate; mystery",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=100",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "Permessage-Deflate; mystery",
        ]
    )
    func `a server declines an offer that it does not understand`(offer: String) throws {
        let entries = try #require(WebSocketExtension.parse([offer]))
        #expect(DeflateAgreement.accept(entries, Self.keeping) == nil)
    }

    @Test func `a client offers what it wishes`() {
        #expect(
            DeflateAgreement.offer(Self.wishes())
                == "permessage-deflate; client_max_window_bits; server_no_context_takeover; client_no_context_takeover"
        )
        #expect(
            DeflateAgreement.offer(Self.narrow)
                == "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10"
        )
    }

    @Test(
        arguments: [
            ("permessage-deflate", nil),
            ("permessage-deflate", wishes()),  // keeps what it was told to forget
            ("permessage-deflate", narrow),  // a window larger than was offered
            ("permessage-deflate; server_max_window_bits=11", narrow),
            ("permessage-deflate; client_max_window_bits", keeping),
            ("permessage-deflate; mystery", keeping),
            ("permessage-deflate, permessage-deflate", keeping),
            ("something-else", keeping),
        ] as [(String, WebSocketCompression?)]
    )
    func `a client refuses an answer to what it did not offer`(answer: String, wishes: WebSocketCompression?) throws {
        let answers = try #require(WebSocketExtension.parse([answer]))
        #expect {
            _ = try DeflateAgreement.check(answers, offered: wishes)
        } throws: {
            ($0 as? BerthError)?.code == .protocolViolation
        }
    }

    @Test func `a declined offer leaves the connection uncompressed`() throws {
        #expect(try DeflateAgreement.check([], offered: Self.keeping) == nil)
    }

    @Test(arguments: 9...15, [false, true])
    func `messages survive any agreed window`(bits: Int, keepsContext: Bool) throws {
        var wishes = WebSocketCompression()
        wishes.minimumBytes = 0
        let direction = DeflateAgreement.Direction(windowBits: bits, keepsContext: keepsContext)
        let pool = CompressionPool()
        let deflater = MessageDeflater(direction, wishes: wishes, pool: pool)
        let inflater = MessageInflater(direction, pool: pool)
        var sizes: [Int] = []
        for message in [CompressionTests.text, Array(CompressionTests.text.prefix(300)), CompressionTests.text] {
            let packed = try #require(deflater.compress(message, isText: true))
            sizes.append(packed.count)
            var back: [UInt8] = []
            try inflater.expand(packed, into: &back, limit: message.count)
            try inflater.finish(into: &back, limit: message.count)
            #expect(back == message)
        }
        #expect((sizes[2] < sizes[0]) == keepsContext)
    }

    @Test func `short, long and binary messages go as they are`() throws {
        var wishes = WebSocketCompression()
        wishes.minimumBytes = 100
        wishes.maximumBytes = 1000
        let direction = DeflateAgreement.Direction(keepsContext: false)
        let deflater = MessageDeflater(direction, wishes: wishes, pool: CompressionPool())
        let text = CompressionTests.text
        #expect(deflater.compress(Array(text.prefix(99)), isText: true) == nil)
        #expect(deflater.compress(Array(text.prefix(1001)), isText: true) == nil)
        #expect(deflater.compress(Array(text.prefix(1000)), isText: false) == nil)
        #expect(deflater.compress(CompressionTests.noise(1000), isText: true) == nil)
        let packed = try #require(deflater.compress(Array(text.prefix(1000)), isText: true))
        #expect(packed.count < 200)
        let narrow = MessageDeflater(.init(windowBits: 8), wishes: wishes, pool: CompressionPool())
        #expect(narrow.compress(Array(text.prefix(1000)), isText: true) == nil)
    }
}

extension WebSocketExtension {
    static func entry(_ name: String, _ parameters: [(String, String?)]) -> WebSocketExtension {
        WebSocketExtension(name: name, parameters: parameters.map { Parameter(name: $0.0, value: $0.1) })
    }
}
