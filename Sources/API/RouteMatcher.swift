/// Finds the route of a request: by number of segments first, literals before parameters.
public struct RouteMatcher: Sendable {
    public enum Match: Sendable {
        case found(Route, parameters: [String: String])
        /// The path exists, with these methods.
        case methodNotAllowed([Method])
        case notFound
    }

    private let bySegmentCount: [Int: [(route: Route, segments: [Route.Segment])]]

    public init(_ routes: [Route] = RouteTable.all) {
        bySegmentCount = Dictionary(grouping: routes.map { ($0, $0.segments) }) { $0.1.count }
    }

    /// - Parameter segments: decoded, without empty ones.
    public func match(method: String, segments: [String]) -> Match {
        var allowed: [Method] = []
        for (route, pattern) in bySegmentCount[segments.count] ?? [] {
            guard let parameters = Self.parameters(of: pattern, in: segments) else { continue }
            // HEAD is GET without the body.
            if route.method.rawValue == method || method == "HEAD" && route.method == .get && route.answer.hasHead {
                return .found(route, parameters: parameters)
            }
            allowed.append(route.method)
        }
        return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed)
    }

    private static func parameters(of pattern: [Route.Segment], in segments: [String]) -> [String: String]? {
        var parameters: [String: String] = [:]
        for (part, segment) in zip(pattern, segments) {
            switch part {
            case .literal(let literal): if literal != segment { return nil }
            case .parameter(let name): parameters[name] = segment
            }
        }
        return parameters
    }
}
