import API
import Base
import Domain
import FoundationEssentials
import Testing

@Suite struct EncodingTests {
    /// Everything that travels as JSON.
    private static let types: [any (Codable & Sendable).Type] = [
        API.Environment.self, EnvironmentWhy.self, CreateEnvironment.self, EnvironmentSpec.self, API.Execution.self,
        Page<API.Execution>.self, Page<API.Environment>.self, CreateExecution.self, ExecutionReport.self, Upload.self,
        RunConfig.self,
        API.Workspace.self, API.Repository.self, CreateRepository.self, WorkerStatus.self, WhoAmI.self, Change.self,
        ChangePage.self, Health.self, Version.self, APIKeyView.self, CreateAPIKey.self, CreatedAPIKey.self,
        Problem.self, AgentEvent.self, CompatibilityAccepted.self, CompatibilityExecution.self,
        CompatibilityExecute.self, CompatibilityStatus.self,
    ]

    @Test(arguments: types.indices)
    func `every type of the API is written as Foundation writes it`(index: Int) throws {
        try check(Self.types[index], seed: UInt64(index))
    }

    private func check<Value: Codable>(_: Value.Type, seed: UInt64) throws {
        let decoder = RandomDecoder(randomness: SeededRandomness(seed: seed))
        let reference = JSONEncoder()
        reference.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        for _ in 0..<15 {
            let value = try decoder.value(Value.self)
            let text = String(decoding: try JSONBody.encode(value), as: UTF8.self)
            #expect(text == String(decoding: try reference.encode(value), as: UTF8.self))
        }
    }
}
