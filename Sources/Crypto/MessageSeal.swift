public import Base
import OpenSSL

/// Signs what the servers of one deployment tell each other, under a key derived from the master key that they share.
public struct MessageSeal: Sendable {
    private let key: Secret<[UInt8]>

    /// - Parameter purpose: what is signed for one purpose means nothing for another.
    public init(_ keys: KeyRing, purpose: String) throws(BerthError) {
        key = try keys.current.subkey(purpose)
    }

    public func sign(_ message: [UInt8]) throws(BerthError) -> [UInt8] {
        try HMACSHA256.authenticate(message, key: key.reveal())
    }

    public func verifies(_ signature: [UInt8], of message: [UInt8]) throws(BerthError) -> Bool {
        SecureComparison.areEqual(signature, try sign(message))
    }
}
