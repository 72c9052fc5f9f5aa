package interop;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** The rows, in memory: like the existing services' embedded database they are gone after a restart, and ids begin at 1. */
@RestController
public class Validators {

    private static final Logger LOG = LoggerFactory.getLogger(Validators.class);

    private final Map<Long, Validator> rows = new ConcurrentSkipListMap<>();
    private final AtomicLong last = new AtomicLong();

    /** What tests look at. */
    @GetMapping("/validators")
    public Collection<Validator> all() {
        return rows.values();
    }

    void validate(SendSuccess event) {
        Validator row = new Validator(last.incrementAndGet(), event);
        rows.put(row.id, row);
        LOG.info("row {}: {} {}", row.id, row.messageId, row.policyInfo == null ? "passes" : row.policyInfo);
        (row.policyInfo == null ? new ValidateSucceed() : new ValidateFailed()).from(row).publish();
    }

    void cancel(Canceled event) {
        rows.values().stream()
            .filter(row -> event.messageId == null ? event.id.equals(row.message) : event.messageId.equals(row.messageId))
            .forEach(row -> {
                row.canceled = true;
                LOG.info("row {}: {} is cancelled", row.id, row.messageId);
            });
    }
}
