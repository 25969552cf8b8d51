import Base
import Domain

@testable import API

/// The JSON body of every route: a body is read whole or refused with the field's name; what is read is what the
/// published document allows, and nothing of it is lost.
enum BodyFuzz {
    static let routes = RouteTable.all.filter { $0.body != nil }

    static func run(_ bytes: [UInt8]) {
        var source = Source(bytes)
        let route = source.pick(routes)
        guard let schema = route.body else { return }
        var writer = SchemaText(source)
        writer.write(schema)
        switch route.id {
        case .executionCreate: read(CreateExecution.self, writer.text, schema, route)
        case .environmentCreate: read(CreateEnvironment.self, writer.text, schema, route)
        case .repositoryCreate: read(CreateRepository.self, writer.text, schema, route)
        case .workspaceCreate: read(CreateWorkspace.self, writer.text, schema, route)
        case .workspaceUpdate: read(UpdateWorkspace.self, writer.text, schema, route)
        case .workspaceArchive: read(ArchiveWorkspace.self, writer.text, schema, route)
        case .workspaceVariablesSet: read(SetVariables.self, writer.text, schema, route)
        case .workspaceRunStart: read(StartRunScript.self, writer.text, schema, route)
        case .keyCreate: read(CreateAPIKey.self, writer.text, schema, route)
        case .environmentExecute: read(ExecuteCode.self, writer.text, schema, route)
        case .environmentProvision: read(ProvisionEnvironment.self, writer.text, schema, route)
        case .environmentNetwork: read(NetworkPolicy.self, writer.text, schema, route)
        case .environmentFork: read(ForkEnvironment.self, writer.text, schema, route)
        case .environmentRestore: read(RestoreEnvironment.self, writer.text, schema, route)
        case .agentSessionCreate: read(CreateAgentSession.self, writer.text, schema, route)
        case .agentSessionSend: read(SendMessage.self, writer.text, schema, route)
        case .agentSessionAnswer: read(AnswerRequest.self, writer.text, schema, route)
        case .agentSessionChange: read(ChangeAgentSession.self, writer.text, schema, route)
        case .environmentExtend: read(ExtendEnvironment.self, writer.text, schema, route)
        case .quotaSet: read(SetTier.self, writer.text, schema, route)
        case .fileMakeDirectory: read(MakeDirectory.self, writer.text, schema, route)
        case .fileMove: read(MoveFile.self, writer.text, schema, route)
        case .presenceJoin: read(JoinWorkspace.self, writer.text, schema, route)
        case .gitCommit: read(CommitChanges.self, writer.text, schema, route)
        case .gitBranchCreate: read(CreateBranch.self, writer.text, schema, route)
        case .gitSwitch: read(SwitchBranch.self, writer.text, schema, route)
        case .gitPush: read(PushBranch.self, writer.text, schema, route)
        case .gitPull: read(PullBranch.self, writer.text, schema, route)
        case .processSignal: read(SignalProcess.self, writer.text, schema, route)
        case .terminalCreate: read(CreateTerminal.self, writer.text, schema, route)
        case .setupCheck: read(CheckSetup.self, writer.text, schema, route)
        case .handOverSend: read(SendWorkspace.self, writer.text, schema, route)
        case .handOverPull: read(PullWorkspace.self, writer.text, schema, route)
        case .handOverTake: read(TakeWorkspace.self, writer.text, schema, route)
        case .handOverMessage: read(HandOverMessage.self, writer.text, schema, route)
        case .busPublish: read(PublishMessage.self, writer.text, schema, route)
        case .compatibilityExecute: read(CompatibilityExecute.self, writer.text, schema, route)
        // Documented procedures read what they need themselves.
        case _ where RouteTable.documentedMachines.contains { $0.id == route.id }: return
        default: Fuzz.check(false, "no type is known for the body of \(route.id)")
        }
    }

    private static func read<Body: Codable & Equatable>(
        _: Body.Type,
        _ text: [UInt8],
        _ schema: Schema,
        _ route: Route
    ) {
        let given = try? JSONBody.parse(text)
        do throws(BerthError) {
            let body = try JSONBody.decode(Body.self, from: text, schema: schema)
            guard let given, let published = PublishedSchema.shared.body(of: route) else {
                return Fuzz.check(false, "\(body) was read from no JSON, or the document has no body of \(route.id)")
            }
            let fault = PublishedSchema.shared.fault(given, under: published)
            Fuzz.check(fault == nil, "\(shown(text)) was read, but \(fault ?? "")")
            guard let again = try? JSONBody.encode(body), let value = try? JSONBody.parse(again),
                (try? JSONBody.decode(Body.self, from: again, schema: schema)) == body
            else { return Fuzz.check(false, "\(shown(text)) was read as \(body), whose own text is not") }
            let lost = lost(given, in: value, at: "$")
            Fuzz.check(lost == nil, "\(lost ?? "") of \(shown(text)) is lost in \(shown(again))")
        } catch {
            guard let given else { return Fuzz.check(error.code == .invalidJSON, "no JSON is refused as \(error)") }
            guard case .object = given else { return }
            Fuzz.check(
                error.field != nil && error.code != .internal && error.code != .invalidJSON,
                "\(shown(text)) is refused without a field: \(error.code) \(error)"
            )
        }
    }

    /// The first member of `given` that is not the same in `kept`. Times have one form, whatever they were written in.
    private static func lost(_ given: JSONValue, in kept: JSONValue?, at path: String) -> String? {
        switch (given, kept) {
        case (.object(let members), .object(let others)?):
            return members.keys.sorted().lazy.compactMap { name in
                guard let member = members[name], member != .null, name != "expiresAt" else { return nil }
                return lost(member, in: others[name], at: "\(path).\(name)")
            }.first
        case (.array(let elements), .array(let others)?):
            guard elements.count == others.count else { return path }
            return zip(elements, others).enumerated().lazy
                .compactMap { lost($1.0, in: $1.1, at: "\(path)[\($0)]") }.first
        case (.integer, _), (.number, _): return given.number == kept?.number ? nil : path
        default: return given == kept ? nil : path
        }
    }

    private static func shown(_ text: [UInt8]) -> String { String(decoding: text, as: UTF8.self) }
}
