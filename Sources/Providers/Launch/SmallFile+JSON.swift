internal import Base
internal import FoundationEssentials

extension SmallFile {
    /// nil where there is no file. Throws `schema_mismatch` for one of another form.
    static func readJSON<Value: Decodable>(_: Value.Type, from path: String) throws(BerthError) -> Value? {
        guard let text = read(path) else { return nil }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw BerthError(
                .schemaMismatch,
                "\(path) cannot be read",
                remedy: "it was written by another version of Berth; its files were left alone",
                detail: "\(error)"
            )
        }
    }

    /// Whole or not at all, and durable.
    static func writeJSON(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try replace(path, with: String(decoding: encoder.encode(value), as: UTF8.self), isDurable: true)
    }
}
