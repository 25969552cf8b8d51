public import Base
internal import COpenSSL
internal import Glibc

/// What a certificate says.
public struct TLSCertificate: Sendable, Equatable {
    /// The common name where there is one, else the whole distinguished name.
    public let subject: String
    public let issuer: String
    /// Host names and addresses it is for (subjectAltName).
    public let names: [String]
    public let notBefore: Timestamp
    public let notAfter: Timestamp
    public let pin: KeyPin

    init(_ certificate: OpaquePointer) {
        subject = Self.text(X509_get_subject_name(certificate))
        issuer = Self.text(X509_get_issuer_name(certificate))
        names = Self.names(certificate)
        notBefore = Self.time(X509_get0_notBefore(certificate))
        notAfter = Self.time(X509_get0_notAfter(certificate))
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded)
        defer { CRYPTO_free(encoded, #fileID, #line) }
        pin = KeyPin(subjectPublicKeyInfo: Array(UnsafeBufferPointer(start: encoded, count: max(0, Int(count)))))
    }

    private static func text(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        var buffer = [CChar](repeating: 0, count: 256)
        if X509_NAME_get_text_by_NID(name, NID_commonName, &buffer, CInt(buffer.count)) <= 0 {
            X509_NAME_oneline(name, &buffer, CInt(buffer.count))
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func names(_ certificate: OpaquePointer) -> [String] {
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let stack = OpaquePointer(raw)
        defer { GENERAL_NAMES_free(stack) }
        var names: [String] = []
        for index in 0..<max(0, OPENSSL_sk_num(stack)) {
            guard let name = OPENSSL_sk_value(stack, index)?.assumingMemoryBound(to: GENERAL_NAME.self) else {
                continue
            }
            switch name.pointee.type {
            case GEN_DNS:
                names.append(String(decoding: bytes(name.pointee.d.dNSName), as: UTF8.self))
            case GEN_IPADD:
                if let address = address(bytes(name.pointee.d.iPAddress)) { names.append(address) }
            default: continue
            }
        }
        return names
    }

    private static func bytes(_ string: UnsafeMutablePointer<ASN1_STRING>?) -> [UInt8] {
        guard let string else { return [] }
        let start = ASN1_STRING_get0_data(string)
        return Array(UnsafeBufferPointer(start: start, count: max(0, Int(ASN1_STRING_length(string)))))
    }

    private static func address(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return nil
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func time(_ time: UnsafePointer<ASN1_TIME>?) -> Timestamp {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return Timestamp(milliseconds: 0) }
        return Timestamp(milliseconds: Int64(timegm(&parts)) * 1000)
    }
}
