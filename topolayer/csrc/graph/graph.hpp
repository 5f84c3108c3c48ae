// A graph, as adjacency lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
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
    }

    std::size_t size() const { return first_.size() - 1; }

    std::span<const Vertex> neighbors(Vertex vertex) const {
        return {neighbors_.data() + first_[vertex], first_[vertex + 1] - first_[vertex]};
    }

private:
    std::vector<std::size_t> first_;
    std::vector<Vertex> neighbors_;
};

}  // namespace topolayer
