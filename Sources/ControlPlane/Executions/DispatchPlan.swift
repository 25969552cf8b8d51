import Base
import Domain

/// Which queued execution goes to which worker. Pure.
enum DispatchPlan {
    struct Wanted: Sendable, Equatable {
        var id: ExecutionID
        var organizationID: OrganizationID
        var environmentID: EnvironmentID?
        var agent: AgentKind
        var capabilities: [String]
    }

    struct Match: Sendable, Equatable {
        var execution: ExecutionID
        var worker: WorkerID
    }

    /// Oldest first within an organization; organizations take turns, so that one's long queue delays no other.
    static func match(_ queued: [Wanted], _ workers: [WorkerCandidate]) -> [Match] {
        var free = workers
        var matches: [Match] = []
        var queues: [(organization: OrganizationID, rest: [Wanted])] = []
        for wanted in queued.sorted(by: { $0.id < $1.id }) {
            if let place = queues.firstIndex(where: { $0.organization == wanted.organizationID }) {
                queues[place].rest.append(wanted)
            } else {
                queues.append((wanted.organizationID, [wanted]))
            }
        }
        while !queues.isEmpty {
            for place in queues.indices {
                while !queues[place].rest.isEmpty {
                    let wanted = queues[place].rest.removeFirst()
                    guard let index = best(for: wanted, of: free) else { continue }
                    free[index].freeSlots -= 1
                    matches.append(Match(execution: wanted.id, worker: free[index].workerID))
                    break
                }
            }
            queues.removeAll { $0.rest.isEmpty }
        }
        return matches
    }

    /// Workers that take work from one queue: those of an environment, or those of an organization that stand alone.
    struct Place: Sendable, Equatable {
        var organizationID: OrganizationID
        /// nil: they stand alone.
        var environmentID: EnvironmentID?
        var workers: [WorkerCandidate]
    }

    /// In the order of the first worker of each.
    static func places(of workers: [WorkerCandidate]) -> [Place] {
        struct Key: Hashable {
            var organization: OrganizationID
            var environment: EnvironmentID?
        }
        var places: [Place] = []
        var known: [Key: Int] = [:]
        for worker in workers {
            let key = Key(organization: worker.organizationID, environment: worker.environmentID)
            if let index = known[key] {
                places[index].workers.append(worker)
            } else {
                known[key] = places.count
                places.append(
                    Place(organizationID: key.organization, environmentID: key.environment, workers: [worker])
                )
            }
        }
        return places
    }

    /// Whether a worker suits what asks for `needs`, as ``ExecutionSpec/needs`` writes it; one without is asked for itself.
    static func serves(_ worker: WorkerCandidate, _ needs: String) -> Bool {
        guard let end = needs.firstIndex(of: "\n") ?? (needs.isEmpty ? nil : needs.endIndex) else { return true }
        let capabilities = needs[end...].split(separator: "\n").map(String.init)
        return capabilities.allSatisfy(worker.capabilities.contains)
            && (worker.protocolVersion != nil || needs[..<end] == AgentKind.claude.rawValue)
    }

    /// How long the queue is left alone unless something happens (origins 4.8 and 4.6): nobody there is looked at again
    /// after 5 s, everybody busy after 10 s, and what failed when its time has come.
    static func pause(isWaiting: Bool, isAtCapacity: Bool, until nextAttempt: Duration?) -> Duration {
        guard isWaiting else { return .seconds(3600) }
        let pause: Duration = isAtCapacity ? .seconds(10) : .seconds(5)
        return max(.zero, min(pause, nextAttempt ?? pause))
    }

    /// The one with the most free slots, so that work spreads.
    static func best(for wanted: Wanted, of workers: [WorkerCandidate]) -> Int? {
        workers.indices.filter { suits(workers[$0], wanted) }
            .max { left, right in
                (workers[left].freeSlots, workers[right].workerID) < (workers[right].freeSlots, workers[left].workerID)
            }
    }

    static func suits(_ worker: WorkerCandidate, _ wanted: Wanted) -> Bool {
        guard worker.freeSlots > 0, worker.organizationID == wanted.organizationID,
            worker.environmentID == wanted.environmentID,
            wanted.capabilities.allSatisfy(worker.capabilities.contains)
        else { return false }
        // A documented peer runs the Claude CLI with the prompt; it knows no other agent.
        return worker.protocolVersion != nil || wanted.agent == .claude
    }
}
