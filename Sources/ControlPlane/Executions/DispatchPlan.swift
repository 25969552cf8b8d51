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
