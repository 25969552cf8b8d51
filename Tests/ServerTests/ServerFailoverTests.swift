import API
import Base
import Client
import Crypto
import Domain
import FoundationEssentials
import TestSupport
import Testing
import Transport

@testable import Server

/// One of several servers does not answer.
@Suite struct ServerFailoverTests {
    @Test func `a client asks the next of its servers, and stays with it`() async throws {
        try await RunningServer.with { server in
            let client = try BerthClient(
                url: "http://127.0.0.1:1, \(server.url)",
                key: server.key,
                loop: server.loop
            )
            for _ in 0..<2 {
                let who: WhoAmI = try await client.call(.whoAmI)
                #expect(who.role == "owner")
            }
            await client.close()
        }
    }

    @Test func `a list without a server that answers says so`() async throws {
        try await RunningServer.with { server in
            let client = try BerthClient(
                url: "http://127.0.0.1:1,http://127.0.0.1:2",
                key: server.key,
                loop: server.loop
            )
            let error = await #expect(throws: BerthError.self) { let _: WhoAmI = try await client.call(.whoAmI) }
            #expect(error?.code == .unavailable)
            #expect(throws: BerthError.self) { try BerthClient(url: ",", key: nil, loop: server.loop) }
        }
    }
}

/// What one server says to another.
@Suite struct ForwardedCallerTests {
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private static func seal(_ byte: UInt8 = 1) throws -> MessageSeal {
        let key = try MasterKey(bytes: Secret([UInt8](repeating: byte, count: 32)))
        return try MessageSeal(KeyRing(current: key), purpose: "forward")
    }

    private static let caller: Principal = {
        let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
        return Principal(organizationID: ids.make(), userID: ids.make(), role: .member, keyID: ids.make())
    }()

    private static func word(_ target: String = "/v1/x?port=1") throws -> String {
        try ForwardedCaller.text(caller, .get, target, at: now, try seal())
    }

    @Test func `a caller is known again, for this request and this minute`() throws {
        let word = try Self.word()
        func known(_ method: HTTPMethod, _ target: String, at moment: Timestamp, _ seal: MessageSeal) throws
            -> Principal
        {
            try ForwardedCaller.principal(word, method, target, at: moment, seal)
        }
        let seal = try Self.seal()
        #expect(try known(.get, "/v1/x?port=1", at: Self.now + .seconds(30), seal) == Self.caller)
        #expect(try known(.get, "/v1/x?port=1", at: Self.now + .seconds(-30), seal) == Self.caller)
        for (method, target, moment, seal) in [
            (HTTPMethod.post, "/v1/x?port=1", Self.now, seal),
            (.get, "/v1/x?port=2", Self.now, seal),
            (.get, "/v1/x?port=1", Self.now + .seconds(61), seal),
            (.get, "/v1/x?port=1", Self.now + .seconds(-61), seal),
            (.get, "/v1/x?port=1", Self.now, try Self.seal(2)),
        ] {
            let error = #expect(throws: BerthError.self) { try known(method, target, at: moment, seal) }
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test(arguments: ["", ".", "a.b", "e30=.00", "e30=", "\u{0}.\u{0}"])
    func `anything else is refused`(word: String) throws {
        let seal = try Self.seal()
        let error = #expect(throws: BerthError.self) {
            try ForwardedCaller.principal(word, .get, "/", at: Self.now, seal)
        }
        #expect(error?.code == .unauthenticated)
    }

    @Test func `a changed claim does not have its signature`() throws {
        let parts = try Self.word().split(separator: ".")
        let claims = try #require(Data(base64Encoded: String(parts[0])))
        let changed = String(decoding: claims, as: UTF8.self).replacing("member", with: "owner")
        let forged = Data(changed.utf8).base64EncodedString() + "." + parts[1]
        let seal = try Self.seal()
        #expect(throws: BerthError.self) {
            try ForwardedCaller.principal(forged, .get, "/v1/x?port=1", at: Self.now, seal)
        }
    }

    @Test func `a server takes no stranger's word, whatever key comes with it`() async throws {
        try await RunningServer.with { server in
            let answer = try await server.request("GET", "/v1/whoami", headers: ["berth-forwarded": try Self.word()])
            #expect(answer.status == 401)
        }
    }
}
