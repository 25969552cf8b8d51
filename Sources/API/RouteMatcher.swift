internal import Base

/// A route as the matcher found it.
public final class RoutePlace: Sendable {
    public let route: Route
    /// Its place among the matcher's routes.
    public let number: Int
    /// Which segments of its path are parameters, and their names.
    fileprivate let parameters: [(segment: Int, name: String)]

    fileprivate init(_ route: Route, number: Int) {
        self.route = route
        self.number = number
        parameters = route.segments.enumerated()
            .compactMap { place, segment in segment.parameter.map { (place, $0) } }
    }
}

/// What stood in a request's path where its route has names in braces.
public struct RouteParameters: Sendable, Equatable {
    private var members: [(name: String, value: String)] = []

    fileprivate init(_ members: [(name: String, value: String)]) { self.members = members }

    public subscript(name: String) -> String? { members.first { $0.name == name }?.value }
    /// The first one of the path: what the route is about.
    public var first: String? { members.first?.value }

    public static func == (left: Self, right: Self) -> Bool { left.members.elementsEqual(right.members, by: ==) }
}

/// Finds the route of a request in a tree of path segments: literals before parameters. A match allocates nothing but
/// the parameters' values.
public struct RouteMatcher: Sendable {
    public enum Match: Sendable {
        case found(RoutePlace, parameters: RouteParameters)
        /// The path exists, with these methods.
        case methodNotAllowed([Method])
        case notFound
        /// What stands in the path is no text: escapes that are broken, do not stand for UTF-8 or stand for NUL. `field` is
        /// the parameter in whose place it stands, or `path`.
        case broken(field: String)
    }

    private struct Node {
        /// Which of `literals` go on from here.
        var literals = 0..<0
        var parameter: Int?
        var places: [RoutePlace] = []
    }

    private struct Literal {
        /// Where in `texts`.
        var text: Range<Int>
        var node: Int
    }

    /// Longer paths match nothing.
    private static let maximumDepth = 8

    private typealias Ranges = InlineArray<8, Range<Int>>

    /// The root is the first.
    private let nodes: [Node]
    private let literals: [Literal]
    private let texts: [UInt8]
    public let places: [RoutePlace]

    public init(_ routes: [Route] = RouteTable.all) {
        var nodes = [Node()]
        var following: [[(text: [UInt8], node: Int)]] = [[]]
        places = routes.enumerated().map { RoutePlace($1, number: $0) }
        for place in places {
            precondition(place.route.segments.count <= Self.maximumDepth, "the path of \(place.route.id) is too long")
            var current = 0
            for segment in place.route.segments {
                let known =
                    switch segment {
                    case .literal(let text): following[current].first { $0.text == Array(text.utf8) }?.node
                    case .parameter: nodes[current].parameter
                    }
                guard known == nil else {
                    current = known ?? current
                    continue
                }
                nodes.append(Node())
                following.append([])
                switch segment {
                case .literal(let text): following[current].append((Array(text.utf8), nodes.count - 1))
                case .parameter: nodes[current].parameter = nodes.count - 1
                }
                current = nodes.count - 1
            }
            nodes[current].places.append(place)
        }
        // All literals and their texts lie one behind the other, so that a search goes from array to array seldom.
        var literals: [Literal] = []
        var texts: [UInt8] = []
        for (number, all) in following.enumerated() {
            nodes[number].literals = literals.count..<(literals.count + all.count)
            for (text, node) in all {
                literals.append(Literal(text: texts.count..<(texts.count + text.count), node: node))
                texts += text
            }
        }
        self.nodes = nodes
        self.literals = literals
        self.texts = texts
    }

    /// - Parameter path: still percent-encoded; its segments are compared decoded. A slash at the end adds an empty one.
    public func match(method: String, path: String) -> Match {
        var path = path
        return path.withUTF8 { bytes in
            guard bytes.contains(UInt8(ascii: "%")) else { return match(method, bytes) }
            return decoded(method, bytes)
        }
    }

    private func match(_ method: String, _ path: UnsafeBufferPointer<UInt8>) -> Match {
        var ranges = Ranges(repeating: 0..<0)
        var count = 0
        guard path.first == UInt8(ascii: "/") else { return search(method, path, ranges, 0) }
        var start = 1
        for index in 1...path.count where index == path.count || path[index] == UInt8(ascii: "/") {
            guard count < Self.maximumDepth else { return .notFound }
            ranges[count] = start..<index
            count += 1
            start = index + 1
        }
        return search(method, path, ranges, path.count == 1 ? 0 : count)
    }

    /// The segments one after the other, decoded: a slash that was encoded divides nothing.
    private func decoded(_ method: String, _ path: UnsafeBufferPointer<UInt8>) -> Match {
        var bytes: [UInt8] = []
        var ranges = Ranges(repeating: 0..<0)
        var count = 0
        var broken: [Int] = []
        for segment in path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
            guard count < Self.maximumDepth else { return .notFound }
            let raw = String(decoding: segment, as: UTF8.self)
            var text = PercentEncoding.decode(raw)
            if text?.utf8.contains(0) == true { text = nil }
            if text == nil { broken.append(count) }
            // As it stands it is no literal of any route, but may stand where a parameter does.
            let shown = text ?? raw
            ranges[count] = bytes.count..<(bytes.count + shown.utf8.count)
            bytes.append(contentsOf: shown.utf8)
            count += 1
        }
        let match = bytes.withUnsafeBufferPointer { search(method, $0, ranges, count) }
        if broken.isEmpty { return match }
        guard case .found(let place, _) = match else { return .broken(field: "path") }
        return .broken(field: place.parameters.first { broken.contains($0.segment) }?.name ?? "path")
    }

    private func search(_ method: String, _ bytes: UnsafeBufferPointer<UInt8>, _ ranges: Ranges, _ count: Int) -> Match
    {
        var allowed: [Method] = []
        guard let place = find(method, bytes, ranges, count, node: 0, depth: 0, &allowed) else {
            return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed)
        }
        if place.parameters.isEmpty { return .found(place, parameters: RouteParameters([])) }
        let members = place.parameters.map { parameter in
            (parameter.name, String(decoding: bytes[ranges[parameter.segment]], as: UTF8.self))
        }
        return .found(place, parameters: RouteParameters(members))
    }

    private func find(
        _ method: String,
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ ranges: Ranges,
        _ count: Int,
        node number: Int,
        depth: Int,
        _ allowed: inout [Method]
    ) -> RoutePlace? {
        if depth == count {
            for place in nodes[number].places {
                // HEAD is GET without the body.
                if place.route.method.rawValue == method
                    || method == "HEAD" && place.route.method == .get && place.route.answer.hasHead
                {
                    return place
                }
                allowed.append(place.route.method)
            }
            return nil
        }
        let segment = UnsafeBufferPointer(rebasing: bytes[ranges[depth]])
        for index in nodes[number].literals {
            let literal = literals[index]
            guard literal.text.count == segment.count, isText(literal.text, segment) else { continue }
            let found = find(method, bytes, ranges, count, node: literal.node, depth: depth + 1, &allowed)
            if let found { return found }
        }
        guard let next = nodes[number].parameter else { return nil }
        return find(method, bytes, ranges, count, node: next, depth: depth + 1, &allowed)
    }

    private func isText(_ range: Range<Int>, _ segment: UnsafeBufferPointer<UInt8>) -> Bool {
        texts.withUnsafeBufferPointer { texts in
            segment.indices.allSatisfy { texts[range.lowerBound + $0] == segment[$0] }
        }
    }
}
