package interop;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.springframework.messaging.MessageHeaders;
import org.springframework.messaging.support.MessageBuilder;
import org.springframework.util.MimeTypeUtils;

/** An event as the older services write it: JSON text as payload, `"me": true` by accident of isMe(), no header `type`. */
public abstract class AbstractEvent {

    private String eventType = getClass().getSimpleName();
    private Object timestamp = Timestamp.now();

    public String getEventType() {
        return eventType;
    }

    public void setEventType(String eventType) {
        this.eventType = eventType;
    }

    public Object getTimestamp() {
        return timestamp;
    }

    public void setTimestamp(String timestamp) {
        this.timestamp = timestamp;
    }

    /** Whether what was read is an event of this very class: every handler is given every event. */
    public boolean isMe() {
        return eventType.equals(getClass().getSimpleName());
    }

    void publish() {
        try {
            ValidatorApplication.context.getBean(KafkaProcessor.class).outboundTopic().send(
                MessageBuilder.withPayload(new ObjectMapper().writeValueAsString(this))
                    .setHeader(MessageHeaders.CONTENT_TYPE, MimeTypeUtils.APPLICATION_JSON)
                    .build());
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
