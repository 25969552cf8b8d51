import API
import Base
import Crypto
import Domain
import FoundationEssentials
import Transport

/// The word of one server to another that a request is a caller's of its own, whom it has authenticated and authorized.
struct ForwardedCaller: Codable, Sendable {
    /// `header` of the request that is forwarded: claims as base64, a point, their signature in hexadecimal.
    static let header = "berth-forwarded"
    /// How long the word counts; the servers' clocks may differ by as much.
    private static let lifetime = Duration.seconds(60)

    var organization: OrganizationID
    var user: UserID
    var role: Role
    var key: APIKeyID?
    var method: String
    /// Path and query: the word counts for this request alone.
    var target: String
    var expiresAt: Int64

    static func text(
        _ caller: Principal,
        _ method: HTTPMethod,
        _ target: String,
        at now: Timestamp,
        _ seal: MessageSeal
    )
        throws -> String
    {
        let claims = ForwardedCaller(
            organization: caller.organizationID,
            user: caller.userID,
            role: caller.role,
            key: caller.keyID,
            method: method.rawValue,
            target: target,
            expiresAt: (now + lifetime).milliseconds
        )
        let bytes = try JSONBody.encode(claims)
        return Data(bytes).base64EncodedString() + "." + Hex.encode(try seal.sign(bytes))
    }

    /// Throws `unauthenticated` for anything that no server of this deployment has said of this request just now.
    static func principal(
        _ text: String,
        _ method: HTTPMethod,
        _ target: String,
        at now: Timestamp,
        _ seal: MessageSeal
    ) throws -> Principal {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let claims = Data(base64Encoded: String(parts[0])),
            let signature = Hex.decode(String(parts[1])), try seal.verifies(signature, of: Array(claims)),
            let word = try? JSONDecoder().decode(ForwardedCaller.self, from: claims),
            word.method == method.rawValue, word.target == target,
            (0...2 * lifetime.wholeMilliseconds).contains(word.expiresAt - now.milliseconds)
        else {
            throw BerthError(
                .unauthenticated,
                "the forwarded request is not from a server of this deployment",
                remedy: "give all servers one master key and the right time"
            )
        }
        return Principal(organizationID: word.organization, userID: word.user, role: word.role, keyID: word.key)
    }
}
