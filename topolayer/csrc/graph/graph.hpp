// A graph, as adjacency lists. Edges may be given more than once, in either direction; lists have each once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace topolayer {

class Graph {
public:
    using Vertex = std::uint32_t;

    // Becomes the graph with these edges, two vertices each.
    void read(std::int64_t vertices, std::span<const std::int64_t> edges) {
        first_.assign(static_cast<std::size_t>(vertices) + 1, 0);
        neighbors_.resize(edges.size());
        for (const std::int64_t vertex : edges) {
            if (vertex < 0 || vertex >= vertices) throw std::invalid_argument("an edge names a vertex that is not there");
            ++first_[vertex + 1];
        }
        for (std::int64_t vertex = 0; vertex < vertices; ++vertex) first_[vertex + 1] += first_[vertex];
        next_.assign(first_.begin(), first_.end() - 1);
        for (std::size_t i = 0; i < edges.size(); i += 2) {
            neighbors_[next_[edges[i]]++] = static_cast<Vertex>(edges[i + 1]);
            neighbors_[next_[edges[i + 1]]++] = static_cast<Vertex>(edges[i]);
        }
        drop_repeated();
    }

    std::size_t size() const { return first_.size() - 1; }

    std::span<const Vertex> neighbors(Vertex vertex) const {
        return {neighbors_.data() + first_[vertex], first_[vertex + 1] - first_[vertex]};
    }

private:
    void drop_repeated() {
        met_by_.assign(size(), std::numeric_limits<Vertex>::max());
        std::size_t kept = 0, next = 0;
        for (Vertex vertex = 0; vertex < size(); ++vertex) {
            met_by_[vertex] = vertex;  // not its own neighbor either
            for (const std::size_t end = first_[vertex + 1]; next < end; ++next)
                if (std::exchange(met_by_[neighbors_[next]], vertex) != vertex) neighbors_[kept++] = neighbors_[next];
            first_[vertex + 1] = kept;
        }
        neighbors_.resize(kept);
    }

    std::vector<std::size_t> first_{0}, next_;
    std::vector<Vertex> neighbors_, met_by_;
};

// The edges of several graphs, one after another, as pairs of vertices that are numbered from 0 in each graph.
struct Edges {
    std::span<const std::int64_t> ends;
    std::span<const std::int64_t> offsets;  // where those of each graph begin, in edges, and where those of the last one end

    std::int64_t graphs() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::span<const std::int64_t> of(std::int64_t graph) const {
        const auto begin = static_cast<std::size_t>(2 * offsets[graph]), end = static_cast<std::size_t>(2 * offsets[graph + 1]);
        return ends.subspan(begin, end - begin);
    }
};

}  // namespace topolayer
