internal import Relay
internal import WorkerProtocol

extension EnvironmentServices {
    /// nil where the request is about something else.
    func handOver(_ request: ServiceRequest) async throws -> ServiceStart? {
        if let call = try request.as(HandOverFreeze.self) { return await answer { try await handOvers.freeze(call) } }
        if let call = try request.as(HandOverThaw.self) { return await answer { try await handOvers.thaw(call) } }
        if let call = try request.as(HandOverTips.self) { return await answer { try await handOvers.tips(call) } }
        if let call = try request.as(HandOverPack.self) { return await answer { try await handOvers.pack(call) } }
        if let call = try request.as(HandOverRestore.self) { return await answer { try await handOvers.restore(call) } }
        if let call = try request.as(HandOverSettle.self) { return await answer { try await handOvers.settle(call) } }
        if let call = try request.as(HandOverDiscard.self) { return await answer { try await handOvers.discard(call) } }
        if let call = try request.as(HandOverOrphan.self) { return await answer { try await handOvers.orphan(call) } }
        if try request.as(LoginCheck.self) != nil { return await answer { try await logins.run() } }
        return nil
    }
}
