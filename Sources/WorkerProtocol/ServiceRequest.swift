public import Base

/// What a channel of the server's may lead to inside an environment, besides a TCP port: a service of the worker's own.
/// Travels as the `service` of ``ServerMessage/Connect``.
public struct ServiceRequest: Sendable, Equatable, Codable {
    /// `terminal.create`, …
    public var name: String
    /// The ``ServiceCall``, or what a stream begins with.
    public var arguments: JSONValue
    /// nil: it is use.
    private var counts: Bool?

    private enum CodingKeys: String, CodingKey {
        case name, arguments
        case counts = "isUse"
    }

    /// Among the capabilities of a worker that has services.
    public static let capability = "services"

    public init(_ call: some ServiceCall) throws {
        name = type(of: call).service
        arguments = try JSONText.decode(JSONValue.self, from: try JSONText.encode(call))
        counts = type(of: call).isUse ? nil : false
    }

    /// Whether somebody uses the environment by it.
    public var isUse: Bool { counts ?? true }

    /// nil for another service. Throws `invalidRequest` naming the field at fault.
    public func `as`<Call: ServiceCall>(_: Call.Type) throws(BerthError) -> Call? {
        guard name == Call.service else { return nil }
        do {
            return try JSONText.decode(Call.self, from: try JSONText.encode(arguments))
        } catch let error as DecodingError {
            throw BerthError(.invalidRequest, "a call of \(name) does not fit: \(error.summary)")
        } catch {
            throw BerthError(.invalidRequest, "a call of \(name) does not fit")
        }
    }
}

/// One question to a worker. Its channel carries the ``ServiceAnswer`` as JSON and ends; a stream carries what its
/// documentation says, and its answer is `Never` sent.
public protocol ServiceCall: Sendable, Codable {
    static var service: String { get }
    /// False for what Berth asks by itself, and for a look that clients repeat without anybody's doing.
    static var isUse: Bool { get }
    associatedtype Answer: Sendable, Codable
}

extension ServiceCall {
    public static var isUse: Bool { true }
}

/// What a call came to: one of the two.
public struct ServiceAnswer<Value: Sendable & Codable>: Sendable, Codable {
    public var value: Value?
    public var refusal: ServiceRefusal?

    public init(value: Value) { self.value = value }
    public init(refusal: ServiceRefusal) { self.refusal = refusal }
}

/// For calls that answer with nothing but success.
public struct ServiceDone: Sendable, Equatable, Codable { public init() {} }

/// An error as it crosses the link, with its code.
public struct ServiceRefusal: Sendable, Equatable, Codable {
    public var code: ErrorCode
    public var message: String
    public var field: String?
    public var remedy: String?

    public init(_ error: BerthError) {
        code = error.code
        message = error.message
        field = error.field
        remedy = error.remedy
    }

    public var error: BerthError { BerthError(code, message, field: field, remedy: remedy) }
}
