/// What a program left behind.
public struct CommandResult: Sendable {
    public var status: Int32
    public var output: String
    public var errors: String
}

/// Runs a program to its end.
public func run(
    _ arguments: [String],
    environment: [String: String] = ChildProcess.plainEnvironment,
    directory: String? = nil,
    input: String = "",
    within deadline: Duration = .seconds(60)
) async throws -> CommandResult {
    let process = try ChildProcess(arguments, environment: environment, directory: directory)
    if !input.isEmpty { process.send(input) }
    process.closeInput()
    let status = try await process.exit(within: deadline)
    return CommandResult(
        status: status,
        output: String(decoding: process.standardOutput, as: UTF8.self),
        errors: String(decoding: process.standardError, as: UTF8.self)
    )
}

/// Runs a program that must succeed; its trimmed output.
@discardableResult
public func check(
    _ arguments: [String],
    environment: [String: String] = ChildProcess.plainEnvironment,
    directory: String? = nil,
    within deadline: Duration = .seconds(60)
) async throws -> String {
    let result = try await run(arguments, environment: environment, directory: directory, within: deadline)
    guard result.status == 0 else { throw UnexpectedStatus(arguments: arguments, result: result) }
    return result.output.hasSuffix("\n") ? String(result.output.dropLast()) : result.output
}

public struct UnexpectedStatus: Error, CustomStringConvertible {
    public var arguments: [String]
    public var result: CommandResult

    public init(arguments: [String], result: CommandResult) {
        self.arguments = arguments
        self.result = result
    }

    public var description: String {
        "\(arguments.joined(separator: " ")) ended with \(result.status)\n\(result.output)\n\(result.errors)"
    }
}
