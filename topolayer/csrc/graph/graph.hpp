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

    Graph(std::int64_t vertices, std::span<const std::int64_t> edges) : first_(vertices + 1, 0), neighbors_(edges.size()) {
        for (const std::int64_t vertex : edges) {
            if (vertex < 0 || vertex >= vertices) throw std::invalid_argument("an edge names a vertex that is not there");
            ++first_[vertex + 1];
        }
        for (std::int64_t vertex = 0; vertex < vertices; ++vertex) first_[vertex + 1] += first_[vertex];
        std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
        for (std::size_t i = 0; i < edges.size(); i += 2) {
            neighbors_[next[edges[i]]++] = static_cast<Vertex>(edges[i + 1]);
            neighbors_[next[edges[i + 1]]++] = static_cast<Vertex>(edges[i]);
        }
        drop_repeated();
    }

    std::size_t size() const { return first_.size() - 1; }

    std::span<const Vertex> neighbors(Vertex vertex) const {
        return {neighbors_.data() + first_[vertex], first_[vertex + 1] - first_[vertex]};
    }

private:
    void drop_repeated() {
        std::vector<Vertex> met_by(size(), std::numeric_limits<Vertex>::max());
        std::size_t kept = 0, next = 0;
        for (Vertex vertex = 0; vertex < size(); ++vertex) {
            met_by[vertex] = vertex;  // not its own neighbor either
            for (const std::size_t end = first_[vertex + 1]; next < end; ++next)
                if (std::exchange(met_by[neighbors_[next]], vertex) != vertex) neighbors_[kept++] = neighbors_[next];
            first_[vertex + 1] = kept;
        }
        neighbors_.resize(kept);
    }

    std::vector<std::size_t> first_;
    std::vector<Vertex> neighbors_;
};

}  // namespace topolayer
