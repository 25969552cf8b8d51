import API
public import Base
import FoundationEssentials

/// The whole configuration: one immutable value from file < environment < flags, made once in `main`.
public struct Configuration: Sendable {
    public struct Setting: Sendable {
        public var value: String?
        /// `default`, the file, the variable or `flag`.
        public var source: String
    }

    private let settings: [String: Setting]

    /// - Parameters:
    ///   - file: text of the configuration file (JSON5) and its path, where there is one.
    ///   - environment: the process's variables.
    ///   - flags: values by key name.
    public init(
        file: (text: [UInt8], path: String)?,
        environment: [String: String],
        flags: [String: String]
    ) throws(BerthError) {
        var settings: [String: Setting] = [:]
        for key in ConfigurationKey.all {
            settings[key.name] = Setting(value: key.defaultValue, source: "default")
        }
        if let file { try Self.read(file.text, path: file.path, into: &settings) }
        for key in ConfigurationKey.all {
            for variable in key.variables.reversed() {
                guard let value = environment[variable], !value.isEmpty else { continue }
                settings[key.name] = Setting(value: value, source: variable)
            }
        }
        for (name, value) in flags {
            guard ConfigurationKey.named(name) != nil else { throw Self.unknown(name, in: "flag") }
            settings[name] = Setting(value: value, source: "flag")
        }
        for key in ConfigurationKey.all {
            if let setting = settings[key.name], let value = setting.value {
                try key.check(value, source: setting.source)
            }
        }
        let home = environment["HOME"] ?? "/root"
        func fill(_ name: String, _ value: String) {
            if settings[name]?.value == nil { settings[name] = Setting(value: value, source: "default") }
        }
        fill("data", (environment["XDG_DATA_HOME"] ?? "\(home)/.local/share") + "/berth")
        fill("cache", (environment["XDG_CACHE_HOME"] ?? "\(home)/.cache") + "/berth")
        fill("agents", (settings["cache"]?.value ?? "") + "/agents")
        self.settings = settings
        if (text("tlsCertificate") == nil) != (text("tlsKey") == nil) {
            throw BerthError(
                .missingField,
                "tlsCertificate and tlsKey go together",
                field: text("tlsKey") == nil ? "tlsKey" : "tlsCertificate",
                remedy: "set both, or neither"
            )
        }
    }

    public func text(_ name: String) -> String? { settings[name]?.value }
    public func source(of name: String) -> String { settings[name]?.source ?? "default" }
    public func secret(_ name: String) -> Secret<String>? { text(name).map { Secret($0) } }
    func integer(_ name: String) -> Int64 { text(name).flatMap { Int64($0) } ?? 0 }

    public var dataDirectory: String { text("data") ?? "" }
    public var cacheDirectory: String { text("cache") ?? "" }
    public var agentsDirectory: String { text("agents") ?? "" }
    public var logLevel: LogLevel { text("logLevel").flatMap { LogLevel(rawValue: $0) } ?? .info }
    public var drain: Duration { .milliseconds(integer("drainMs")) }
    public var maximumBodyBytes: Int { Int(integer("maxBodyBytes")) }
    public var maximumUploadBytes: Int64 { integer("maxUploadBytes") }
    public var maximumConnections: Int { Int(integer("maxConnections")) }
    /// 0: the server decides.
    public var loops: Int { Int(integer("loops")) }
    public var maximumWorkerChannels: Int { Int(integer("maxWorkerChannels")) }
    /// nil: for ever.
    var changesKept: Duration? {
        let days = integer("changesKeptDays")
        return days == 0 ? nil : .seconds(days * 86_400)
    }
    public var workerPort: Int { Int(integer("workerPort")) }

    /// Every setting with its source; secrets redacted.
    public func rows() -> [(key: ConfigurationKey, value: String?, source: String)] {
        ConfigurationKey.all.map { key in
            var value = text(key.name)
            if key.name == "database" { value = value.map(Self.shown(database:)) }
            return (key, key.isSecret && value != nil ? "<redacted>" : value, source(of: key.name))
        }
    }

    private static func read(_ text: [UInt8], path: String, into settings: inout [String: Setting])
        throws(BerthError)
    {
        let decoder = JSONDecoder()
        decoder.allowsJSON5 = true
        guard let value = try? decoder.decode(JSONValue.self, from: Data(text)), case .object(let members) = value
        else {
            throw BerthError(.invalidJSON, "\(path) is not a JSON5 object", remedy: "check quotes, commas and brackets")
        }
        for name in members.keys.sorted() {
            guard ConfigurationKey.named(name) != nil else { throw unknown(name, in: path) }
            switch members[name] {
            case .string(let value)?: settings[name] = Setting(value: value, source: path)
            case .integer(let value)?: settings[name] = Setting(value: "\(value)", source: path)
            case .bool(let value)?: settings[name] = Setting(value: "\(value)", source: path)
            case .null?, nil: continue
            default:
                throw BerthError(.invalidValue, "the value in \(path) is not a plain value", field: name)
            }
        }
    }

    private static func unknown(_ name: String, in source: String) -> BerthError {
        BerthError(
            .unknownField,
            "there is no setting '\(name)' (\(source))",
            field: name,
            remedy: Similarity.nearest(name, in: ConfigurationKey.all.map(\.name)).map { "did you mean '\($0)'?" }
                ?? "see berth config"
        )
    }
}
