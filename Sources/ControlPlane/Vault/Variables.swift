public import Base
import FoundationEssentials

/// Environment variables for a process, values as secrets.
public struct Variables: Sendable, Equatable {
    /// All names and values together: well under what execve(2) takes.
    public static let byteLimit = 1 << 20

    public private(set) var values: [String: Secret<String>]

    /// Throws `invalidValue` or `tooLarge`, naming the variable and never its value.
    public init(_ values: [String: Secret<String>]) throws(BerthError) {
        var bytes = 0
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard Self.isName(name) else {
                throw BerthError(
                    .invalidValue,
                    "'\(name.prefix(80))' is no name for an environment variable",
                    field: "env",
                    remedy: "use letters, digits and _, not beginning with a digit"
                )
            }
            guard !value.reveal().utf8.contains(0) else {
                throw BerthError(.invalidValue, "the value contains the NUL character", field: "env.\(name)")
            }
            bytes += name.utf8.count + value.reveal().utf8.count + 2
        }
        guard bytes <= Self.byteLimit else {
            throw BerthError(
                .tooLarge,
                "the environment variables are \(bytes) bytes together; \(Self.byteLimit) are allowed",
                field: "env",
                remedy: "put large values into files of the workspace"
            )
        }
        self.values = values
    }

    public var isEmpty: Bool { values.isEmpty }

    /// For the moment of handing them to a process or a worker.
    public func revealed() -> [String: String] { values.mapValues { $0.reveal() } }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.count <= 256
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}

extension Variables {
    /// JSON, for sealing only.
    func encoded() throws -> Secret<[UInt8]> {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return Secret(Array(try encoder.encode(revealed())))
    }

    init(encoded: Secret<[UInt8]>) throws {
        let plain = try JSONDecoder().decode([String: String].self, from: Data(encoded.reveal()))
        try self.init(plain.mapValues(Secret.init))
    }
}
