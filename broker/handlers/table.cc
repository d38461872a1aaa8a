// Which handler serves which API.
#include <algorithm>
#include <iterator>

#include "broker/handlers/handlers.h"

namespace sg::broker {
namespace {

struct Row {
  kafka::ApiKey key;
  Handler handler;
};

constexpr Row kRows[] = {
    {kafka::ApiKey::produce, handle_produce},
    {kafka::ApiKey::fetch, handle_fetch},
    {kafka::ApiKey::list_offsets, handle_list_offsets},
    {kafka::ApiKey::metadata, handle_metadata},
    {kafka::ApiKey::find_coordinator, handle_find_coordinator},
    {kafka::ApiKey::api_versions, handle_api_versions},
    {kafka::ApiKey::create_topics, handle_create_topics},
    {kafka::ApiKey::delete_topics, handle_delete_topics},
    {kafka::ApiKey::init_producer_id, handle_init_producer_id},
};

}  // namespace

Handler find_handler(kafka::ApiKey key) {
  auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.key == key; });
  return row == std::end(kRows) ? nullptr : row->handler;
}

}  // namespace sg::broker
