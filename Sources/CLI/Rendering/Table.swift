import Base

/// Columns of text, as wide as their widest cell or as the terminal lets them be.
struct Table {
    var header: [String]
    var rows: [[String]] = []

    /// - Parameter width: columns of the terminal; longer cells end in `…`, except those under `ID`, which are copied
    ///   from here. nil: nothing is cut.
    func text(style: Style, width: Int? = nil) -> String {
        let lines = ([header] + rows).map { $0.map(Self.printable) }
        let widths = Self.fitting(
            header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 },
            header,
            width
        )
        let text = lines.map { cells in
            var line = ""
            for (column, cell) in cells.enumerated() {
                let cut = cell.count > widths[column] ? cell.prefix(max(0, widths[column] - 1)) + "…" : cell
                line += column == cells.count - 1 ? cut : cut.padded(to: widths[column] + 2)
            }
            return line
        }
        return text.enumerated().map { ($0 == 0 ? style.bold($1) : $1) + "\n" }.joined()
    }

    /// Cuts the last column first, then whichever is widest; none below its heading.
    private static func fitting(_ natural: [Int], _ header: [String], _ limit: Int?) -> [Int] {
        guard let limit, !natural.isEmpty else { return natural }
        var widths = natural
        let last = widths.count - 1
        let floors = header.map { max($0.count, 6) }
        func excess() -> Int { widths.reduce(2 * last, +) - limit }
        func room(_ column: Int) -> Int { header[column] == "ID" ? 0 : max(0, widths[column] - floors[column]) }
        widths[last] -= min(max(0, excess()), room(last))
        while excess() > 0 {
            guard let column = widths.indices.filter({ room($0) > 0 }).max(by: { widths[$0] < widths[$1] })
            else { break }
            widths[column] -= 1
        }
        return widths
    }

    /// A cell is one line, and what others wrote in it does not steer the terminal.
    static func printable(_ cell: String) -> String {
        String(
            String.UnicodeScalarView(cell.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 })
        )
    }
}

/// How long ago something was, for people.
enum AgeText {
    /// `12 s`, `5 m`, `3 h`, `9 d`: the largest whole unit.
    static func text(_ moment: Timestamp, now: Timestamp) -> String {
        let seconds = max(0, (now.milliseconds - moment.milliseconds) / 1000)
        return switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3600: "\(seconds / 60) m"
        case ..<86_400: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}
