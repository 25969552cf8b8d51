internal import Base

/// What both sides of one connection agreed on for permessage-deflate (RFC 7692), as one of them sees it.
struct DeflateAgreement: Equatable {
    struct Direction: Equatable {
        /// The window is `2^bits` bytes: 8 to 15.
        var windowBits = 15
        /// Whether a message may refer to earlier ones.
        var keepsContext = true
    }

    /// What we send. A window of 8 bits is agreed to but never used, as zlib cannot make one: then nothing is
    /// compressed, which the protocol leaves to each message.
    var outgoing = Direction()
    var incoming = Direction()

    static let name = "permessage-deflate"
}

// MARK: - The server's side

extension DeflateAgreement {
    /// The first of the client's offers that can be accepted, and the answer to it; nil declines them all, as is right
    /// for parameters that are unknown, doubled or out of range (section 7).
    static func accept(
        _ offers: [WebSocketExtension],
        _ wishes: WebSocketCompression
    ) -> (agreement: DeflateAgreement, answer: String)? {
        for offer in offers where offer.name == name {
            guard let offered = Parameters(offer, mayLackClientBits: true) else { continue }
            var agreement = DeflateAgreement()
            var answer = name
            agreement.outgoing.keepsContext = wishes.keepsContext && !offered.serverForgets
            if !agreement.outgoing.keepsContext { answer += "; server_no_context_takeover" }
            agreement.incoming.keepsContext = wishes.keepsContext && !offered.clientForgets
            if !agreement.incoming.keepsContext { answer += "; client_no_context_takeover" }
            agreement.outgoing.windowBits = min(offered.serverBits ?? 15, wishes.windowBits)
            if offered.serverBits != nil || wishes.windowBits < 15 {
                answer += "; server_max_window_bits=\(agreement.outgoing.windowBits)"
            }
            // A client that does not offer to shrink its window may not be asked to.
            if let clientBits = offered.clientBits {
                agreement.incoming.windowBits = min(clientBits ?? 15, wishes.windowBits)
                if agreement.incoming.windowBits < 15 {
                    answer += "; client_max_window_bits=\(agreement.incoming.windowBits)"
                }
            }
            return (agreement, answer)
        }
        return nil
    }
}

// MARK: - The client's side

extension DeflateAgreement {
    /// The header's value.
    static func offer(_ wishes: WebSocketCompression) -> String {
        var offer = "\(name); client_max_window_bits"
        if wishes.windowBits < 15 { offer += "=\(wishes.windowBits); server_max_window_bits=\(wishes.windowBits)" }
        if !wishes.keepsContext { offer += "; server_no_context_takeover; client_no_context_takeover" }
        return offer
    }

    /// Reads the server's answer to ``offer(_:)``; nil if it accepted nothing. Throws for an answer to something else.
    static func check(
        _ answers: [WebSocketExtension],
        offered wishes: WebSocketCompression?
    ) throws(BerthError) -> DeflateAgreement? {
        guard let answer = answers.first else { return nil }
        guard let wishes, answers.count == 1, answer.name == name,
            let answered = Parameters(answer, mayLackClientBits: false),
            answered.serverBits ?? 15 <= wishes.windowBits,
            answered.serverForgets || wishes.keepsContext
        else {
            throw BerthError(.protocolViolation, "the server accepted a WebSocket extension that was not offered so")
        }
        var agreement = DeflateAgreement()
        agreement.outgoing.keepsContext = wishes.keepsContext && !answered.clientForgets
        agreement.outgoing.windowBits = min((answered.clientBits ?? 15) ?? 15, wishes.windowBits)
        agreement.incoming.keepsContext = !answered.serverForgets
        agreement.incoming.windowBits = answered.serverBits ?? 15
        return agreement
    }
}

// MARK: - Parameters

extension DeflateAgreement {
    /// Section 7.1, as they stand in an offer or in an answer.
    private struct Parameters {
        var serverForgets = false
        var clientForgets = false
        var serverBits: Int?
        /// Named without a value: `.some(nil)`.
        var clientBits: Int??

        /// nil for an entry with an unknown, doubled or ill-formed parameter.
        init?(_ entry: WebSocketExtension, mayLackClientBits: Bool) {
            for parameter in entry.parameters {
                switch (parameter.name, parameter.value) {
                case ("server_no_context_takeover", nil) where !serverForgets: serverForgets = true
                case ("client_no_context_takeover", nil) where !clientForgets: clientForgets = true
                case ("server_max_window_bits", let value?) where serverBits == nil:
                    guard let bits = Self.bits(value) else { return nil }
                    serverBits = bits
                case ("client_max_window_bits", let value?) where clientBits == nil:
                    guard let bits = Self.bits(value) else { return nil }
                    clientBits = .some(bits)
                case ("client_max_window_bits", nil) where clientBits == nil && mayLackClientBits:
                    clientBits = .some(nil)
                default: return nil
                }
            }
        }

        /// A decimal number from 8 to 15 without leading zeros.
        private static func bits(_ text: String) -> Int? {
            guard let bits = Int(text), (8...15).contains(bits), "\(bits)" == text else { return nil }
            return bits
        }
    }
}
