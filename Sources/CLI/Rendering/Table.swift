/// Columns of text, as wide as their widest cell.
struct Table {
    var header: [String]
    var rows: [[String]] = []

    func text(style: Style) -> String {
        let widths = header.indices.map { column in
            ([header] + rows).map { $0[column].count }.max() ?? 0
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                text += column == cells.count - 1 ? cell : cell.padded(to: widths[column] + 2)
            }
            return text
        }
        return ([style.bold(line(header))] + rows.map(line)).map { $0 + "\n" }.joined()
    }
}
